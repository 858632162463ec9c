import sys

import pytest

from pxdask.core.errors import ConfigError
from pxdask.morphology import compiled


def test_without_jax_there_is_one_line(monkeypatch):
    compiled.load_jax.cache_clear()
    monkeypatch.setitem(sys.modules, "jax", None)
    with pytest.raises(ConfigError, match=r"pip install 'pxdask\[morphology\]'"):
        compiled.load_jax()
    monkeypatch.undo()
    compiled.load_jax.cache_clear()


def test_double_precision_ends_with_its_block():
    pytest.importorskip("jax")
    import jax.numpy as jnp

    with compiled.double_precision():
        assert jnp.ones(2).dtype == "float64"
    assert jnp.ones(2).dtype == "float32"


def test_programs_are_kept_apart_by_processor(monkeypatch, tmp_path):
    monkeypatch.setenv("PXDASK_CACHE", str(tmp_path))
    own = compiled.program_folder()
    assert own.parent == tmp_path / "jax"
    assert compiled.program_folder() == own
    monkeypatch.setattr("platform.machine", lambda: "another")
    assert compiled.program_folder() != own


def test_jax_keeps_programs_on_disk():
    pytest.importorskip("jax")
    assert compiled.load_jax().config.jax_compilation_cache_dir
