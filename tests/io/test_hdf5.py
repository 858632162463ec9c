"""HDF5 files are opened in one way, whatever is in them."""

import sys

import pytest

from pxdask.core.errors import ConfigError
from pxdask.io.filter_files import pixedfit_curves, read_curve
from pxdask.io.hdf5 import opened_hdf5
from pxdask.io.pixedfit_models import read_pixedfit_models


def test_what_is_written_is_read_and_the_file_closed(tmp_path):
    pytest.importorskip("h5py")
    with opened_hdf5(tmp_path / "a.hdf5", "w") as file:
        file["x"] = [1.0, 2.0]
    assert not file
    with opened_hdf5(tmp_path / "a.hdf5") as file:
        assert list(file["x"]) == [1.0, 2.0]
        with pytest.raises((KeyError, ValueError, RuntimeError)):
            file["y"] = 1
    assert not file


def test_what_cannot_be_read_is_told_alike(tmp_path):
    pytest.importorskip("h5py")
    for name in ("filters_w", "filters_t"):
        (tmp_path / f"{name}.hdf5").write_text("no HDF5")
    path = tmp_path / "filters_w.hdf5"
    for read in (read_pixedfit_models, pixedfit_curves, lambda p: read_curve(p, name="g")):
        with pytest.raises(ConfigError, match=r"filters_w\.hdf5 is not an HDF5 file"):
            read(path)
    with pytest.raises(ConfigError, match=r"there is no file .*none\.hdf5"):
        read_pixedfit_models(tmp_path / "none.hdf5")


def test_without_h5py_both_readers_say_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    for name in ("filters_w", "filters_t"):
        (tmp_path / f"{name}.hdf5").write_bytes(b"")
    path = tmp_path / "filters_w.hdf5"
    for read in (read_pixedfit_models, pixedfit_curves):
        with pytest.raises(ConfigError, match=r"to read .* install h5py: .*pxdask\[hdf5\]"):
            read(path)
