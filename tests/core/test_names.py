"""No name can lead out of a folder, on any file system."""

import re
from pathlib import Path, PureWindowsPath

import hypothesis.strategies as st
import pytest
from hypothesis import given

from pxdask.core.errors import ConfigError
from pxdask.core.names import MAX_LENGTH, file_name, name_fault

BAD = {
    "": "must be letters",
    "..": "must begin with",
    "../up": "found '/'",
    "/etc/passwd": "found '/'",
    "a/b": "found '/'",
    "a\\b": r"found '\\\\'",
    "a\0b": r"found '\\x00'",
    "a\n": r"found '\\n'",
    "C:": "found ':'",
    "~root": "found '~'",
    ".hidden": "must begin with",
    "-rf": "must begin with",
    "end.": "must not end in a dot",
    "nul": "Windows",
    "COM1.fits": "Windows",
    "x" * (MAX_LENGTH + 1): "129 characters; at most 128",
    "ｇ１": "did you mean 'g1'",
    "g\u0430laxy": r"found '\\u0430'",  # a Cyrillic a
    "\u2024\u2024": "found",  # two one-dot leaders, which normalise to '..'
}


@pytest.mark.parametrize("name", BAD, ids=ascii)
def test_names_that_are_refused(name):
    assert re.search(BAD[name], name_fault(name))
    if name:
        with pytest.raises(ConfigError, match="cannot be part of a file's name"):
            file_name("cube", name, "0123")


@pytest.mark.parametrize("name", ["g00", "NGC-309", "J1234+5678.9", "a..b", "3C_48", "_x", "null"])
def test_names_that_catalogues_have(name):
    assert name_fault(name) == ""
    assert file_name("image", name, "", "ab") == f"image-{name}-ab"


@given(st.text(max_size=12) | st.text("./\\aZ0~:\0", max_size=6))
def test_a_name_that_passes_is_one_part_of_a_path_everywhere(name):
    if not name_fault(name):
        root = Path("/store")
        assert (root / name).parent == root
        assert ".." not in (root / name).parts
        assert PureWindowsPath("C:/store", name).parent == PureWindowsPath("C:/store")
        assert name.isascii()
