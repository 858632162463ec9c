"""Nothing in the package runs code that comes with data."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "pxdask"

MODULES = {
    *("pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"),
    *("copyreg", "hickle", "jsonpickle", "torch", "ctypes", "imp", "runpy", "tarfile"),
}
"""Modules that run code found in data, or that make it easy."""

BUILT_IN = {"eval", "exec", "compile", "__import__"}

METHODS = {
    *("yaml.load", "yaml.load_all", "yaml.full_load", "yaml.unsafe_load", "yaml.Loader"),
    *("yaml.UnsafeLoader", "yaml.FullLoader", "yaml.dump", "os.system", "os.popen"),
    *("np.save", "pd.read_pickle", "pandas.read_pickle", "numcodecs.Pickle"),
    *("shutil.unpack_archive", "tempfile.mktemp"),
}

SWITCHES = {"allow_pickle", "shell", "ALLOW_UNSAFE_PICKLE_DECODE"}

EXCUSED = {
    # between a worker and its own child, by a pipe and a file without a name
    "cluster/alone.py": {"cloudpickle"},
}
"""What modules may import all the same, and why."""


def dotted(node):
    """Return ``a.b.c`` for such an expression, else an empty text."""
    words = []
    while isinstance(node, ast.Attribute):
        words.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(words)]) if isinstance(node, ast.Name) else ""


def imported(node):
    """Return what a statement imports."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
    return []


def is_used(node):
    """Return what an expression uses that could run code which comes with data."""
    if isinstance(node, ast.Name) and node.id in BUILT_IN:
        return node.id
    if isinstance(node, ast.Attribute) and (dotted(node) in METHODS or node.attr in SWITCHES):
        return dotted(node)
    if isinstance(node, ast.keyword) and node.arg in SWITCHES:
        off = isinstance(node.value, ast.Constant) and node.value.value is False
        return "" if off else node.arg
    return ""


def faults(source, excused=()):
    """Yield what in a module could run code that comes with data."""
    for node in ast.walk(ast.parse(source)):
        for name in set(imported(node)) - set(excused):
            if name.split(".")[0] in MODULES or name in METHODS or name.endswith(".pickle"):
                yield f"line {node.lineno}: import of {name}"
        if name := is_used(node):
            yield f"line {node.lineno}: {name}"


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import joblib.numpy_pickle",
        "from yaml import unsafe_load",
        "from pandas import read_pickle\nfrom distributed.protocol.pickle import loads",
        "import yaml\nyaml.load(text)",
        "import numpy as np\nnp.load(path, allow_pickle=True)",
        "import numpy as np\nnp.load(path, allow_pickle=wanted)",
        "import subprocess\nsubprocess.run(text, shell=True)",
        "from numcodecs import pickles\npickles.ALLOW_UNSAFE_PICKLE_DECODE = True",
        "eval(text)",
        "run = exec",
    ],
)
def test_the_audit_sees(source):
    assert list(faults(source))


def test_the_audit_lets_pass():
    assert not list(faults("import yaml\nyaml.safe_load(t)\nre.compile(t)\nnp.load(p)"))


def test_no_module_runs_code_that_comes_with_data():
    files = sorted(PACKAGE.rglob("*.py"))
    assert len(files) > 100
    found = {
        f"{path.relative_to(PACKAGE)}: {fault}"
        for path in files
        for fault in faults(
            path.read_text(encoding="utf-8"), EXCUSED.get(str(path.relative_to(PACKAGE)), ())
        )
    }
    assert not found
