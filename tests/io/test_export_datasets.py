"""Datasets of a galaxy in one file for Python."""

import sys

import numpy as np
import pytest
import xarray as xr

from pxdask.core.errors import ConfigError
from pxdask.io.export_datasets import write_asdf, write_zarr
from pxdask.testing import fake_galaxy

GALAXY = fake_galaxy(rng=np.random.default_rng(3), n_model=2, n_pixel=8)
PARTS = {"cube": GALAXY.cube, "bins": GALAXY.bins}
ROW = {"id": "g", "ra": np.float64(1.5), "note": None}


def test_asdf_needs_nothing_of_ours(tmp_path):
    asdf = pytest.importorskip("asdf")
    path = tmp_path / "g.asdf"
    write_asdf(path, PARTS, galaxy=ROW)
    with asdf.open(path) as file:
        assert file["galaxy"] == {"id": "g", "ra": 1.5, "note": None}
        assert set(file["datasets"]) == {"cube", "bins"}
        flux = file["datasets"]["cube"]["variables"]["flux"]
        assert (flux["dims"], flux["units"]) == (["band", "y", "x"], "uJy")
        np.testing.assert_array_equal(flux["values"], GALAXY.cube["flux"].values)
        bands = file["datasets"]["bins"]["variables"]["band"]["values"]
        assert list(bands) == [str(name) for name in GALAXY.bins["band"].values]
        assert file["datasets"]["cube"]["attrs"]["schema"] == "image/1"
        assert len(file["datasets"]["cube"]["variables"]["flags"]["flag_masks"]) > 5


def test_asdf_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "asdf", None)
    with pytest.raises(ConfigError, match=r"pxdask\[asdf\]"):
        write_asdf(tmp_path / "g.asdf", PARTS, galaxy=ROW)
    assert list(tmp_path.iterdir()) == []


def test_zarr_opens_as_groups_and_as_a_tree(tmp_path):
    path = tmp_path / "g.zarr"
    write_zarr(path, PARTS, galaxy=ROW)
    for name, want in PARTS.items():
        found = xr.open_zarr(path, group=name, consolidated=False, chunks=None)
        xr.testing.assert_equal(found.load().drop_vars("band"), want.drop_vars("band"))
        assert found.attrs["schema"] == want.attrs["schema"]
        assert list(map(str, found["band"].values)) == list(map(str, want["band"].values))
    tree = xr.open_datatree(path, engine="zarr", consolidated=False, chunks=None)
    assert set(tree.children) == set(PARTS)
    assert tree.attrs["ra"] == 1.5
