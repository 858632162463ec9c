"""A run's outputs as files for others' tools."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from astropy.io import fits
from astropy.table import Table
from astropy.units import Unit
from astropy.wcs import WCS
from typer.testing import CliRunner

from pxdask.cli.app import app
from pxdask.core.errors import ConfigError
from pxdask.io.pixedfit_bins import read_pixedfit_bins
from pxdask.io.pixedfit_fluxmap import read_pixedfit_fluxmap
from pxdask.io.pixedfit_maps import read_pixedfit_maps
from pxdask.io.provenance import read_provenance
from pxdask.survey.exchange.exporting import matching_of


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_fits(own_run, tmp_path):
    done = own_run.export("fits", tmp_path / "out")
    files = [f"{name}-{kind}.fits" for name in own_run.galaxies for kind in ("images", "maps")]
    assert names(tmp_path / "out") == sorted([*files, "summary.fits", "summary-bins.fits"])
    assert sorted(path.name for path in done.paths) == names(tmp_path / "out")
    assert done.left_out == ()
    cube = own_run.dataset("g01", "cube")
    ours = WCS(cube.attrs["wcs"]).celestial
    ny, nx = cube["region"].shape
    x, y = np.array([-0.5, nx - 0.5, -0.5, nx - 0.5]), np.array([-0.5, -0.5, ny - 0.5, ny - 0.5])
    n_plane = 0
    for kind in ("maps", "images"):
        with fits.open(tmp_path / "out" / f"g01-{kind}.fits") as hdus:
            hdus.verify("exception")
            assert hdus[0].header["ID"] == "g01"
            for hdu in hdus:
                if isinstance(hdu, fits.ImageHDU):
                    found = WCS(hdu.header, hdus).celestial.pixel_to_world_values(x, y)
                    np.testing.assert_allclose(
                        ours.world_to_pixel_values(*found), (x, y), atol=0.01
                    )
                    Unit(hdu.header.get("BUNIT", ""))
                    n_plane += 1
    assert n_plane > 12
    assert len(fits.getdata(tmp_path / "out" / "summary.fits")) == 3
    told = read_provenance(tmp_path / "out" / "g01-maps.fits")
    assert told["key"] == own_run.maps("g01").attrs["key"]
    assert told["recipe"] == own_run.maps("g01").attrs["recipe"]
    np.testing.assert_array_equal(
        fits.getdata(tmp_path / "out" / "g01-maps.fits", "LOG_MASS"),
        own_run.maps("g01")["log_mass"].values,
    )


@pytest.mark.parametrize("layout", ["current", "1.0"])
def test_pixedfit(own_run, tmp_path, layout):
    own_run.export("pixedfit", tmp_path / "out", galaxies=["g02"], layout=layout)
    kinds = ("fluxmap", "maps_properties", "pixbin")
    assert names(tmp_path / "out") == [f"g02-{kind}.fits" for kind in kinds]
    cube, bins = (own_run.dataset("g02", stage) for stage in ("cube", "bins"))
    found = read_pixedfit_fluxmap(tmp_path / "out" / "g02-fluxmap.fits")
    own, want = (np.where(cube["region"], ds["flux"], 0) for ds in (found.images, cube))
    np.testing.assert_allclose(own, want, rtol=3e-7)
    assert found.header["fil1"] == "sdss_r"
    found = read_pixedfit_bins(tmp_path / "out" / "g02-pixbin.fits").bins
    np.testing.assert_array_equal(found["bin_map"].values, bins["bin_map"].values)
    np.testing.assert_allclose(found["flux"].values, bins["flux"].values, rtol=3e-7)
    maps = read_pixedfit_maps(tmp_path / "out" / "g02-maps_properties.fits")
    np.testing.assert_array_equal(
        maps.pixels["log_mass"]["p50"].astype("f4"),
        own_run.maps("g02")["log_mass"].sel(quantile=0.5).values,
    )


def test_tables(own_run, tmp_path):
    for to, ending in (("ecsv", "ecsv"), ("parquet", "parquet"), ("votable", "vot")):
        own_run.export(to, tmp_path / to)
        assert names(tmp_path / to) == [f"summary-bins.{ending}", f"summary.{ending}"]
    bins = Table.read(tmp_path / "ecsv" / "summary-bins.ecsv")
    assert len(bins) == sum(own_run.dataset(g, "bins").sizes["bin"] for g in own_run.galaxies)
    assert bins["flux_r"].unit == "uJy"
    frame = pd.read_parquet(tmp_path / "parquet" / "summary-bins.parquet")
    np.testing.assert_array_equal(frame["log_mass_p50"], bins["log_mass_p50"])
    # astropy reads Parquet without a word of complaint (warnings are errors here)
    assert Table.read(tmp_path / "parquet" / "summary.parquet")["ra"].unit == "deg"
    own_run.export("parquet", tmp_path / "one", galaxies=["g01"])
    frame = pd.read_parquet(tmp_path / "one" / "summary-bins.parquet")
    assert set(frame["galaxy"]) == {"g01"}
    np.testing.assert_array_equal(frame["flux_r"], own_run.dataset("g01", "bins")["flux"][:, 1])
    assert list(pd.read_parquet(tmp_path / "one" / "summary.parquet")["id"]) == ["g01"]


def test_python(own_run, tmp_path):
    own_run.export("zarr", tmp_path / "out", galaxies=["g00"])
    tree = xr.open_datatree(
        tmp_path / "out" / "g00.zarr", engine="zarr", consolidated=False, chunks=None
    )
    assert set(tree.children) == {"cube", "bins", "fit", "maps"}
    xr.testing.assert_equal(tree["maps"].to_dataset().load(), own_run.maps("g00"))
    asdf = pytest.importorskip("asdf")
    own_run.export("asdf", tmp_path / "out", galaxies=["g00"])
    with asdf.open(tmp_path / "out" / "g00.asdf") as file:
        mass = file["datasets"]["maps"]["variables"]["log_mass"]
        np.testing.assert_array_equal(mass["values"], own_run.maps("g00")["log_mass"].values)


def test_nothing_is_replaced_unasked(own_run, tmp_path):
    (tmp_path / "g02-pixbin.fits").write_text("mine")
    with pytest.raises(ConfigError, match=r"g02-pixbin\.fits exists"):
        own_run.export("pixedfit", tmp_path)
    assert names(tmp_path) == ["g02-pixbin.fits", "run"]  # not even the first galaxy's
    own_run.export("pixedfit", tmp_path, overwrite=True)
    assert fits.getheader(tmp_path / "g02-pixbin.fits")["nbins"] > 0


def test_what_cannot_be_exported_is_named(own_run, tmp_path):
    with pytest.raises(ConfigError, match="cannot export to 'hdf5'; wanted fits, pixedfit, ecsv"):
        own_run.export("hdf5", tmp_path)
    with pytest.raises(ConfigError, match=r"the layout is '2\.0'"):
        own_run.export("pixedfit", tmp_path, layout="2.0")
    with pytest.raises(ConfigError, match="galaxy 'no' is not in the catalogue"):
        own_run.export("fits", tmp_path, galaxies=["no"])


def test_command(own_run, tmp_path):
    arguments = ["export", str(own_run.store), "--to", "pixedfit", "-o", str(tmp_path / "out")]
    result = CliRunner().invoke(app, [*arguments, "--galaxy", "g00"])
    assert result.exit_code == 0, result.output
    assert "g00-fluxmap.fits" in result.output
    assert len(names(tmp_path / "out")) == 3


def test_factors_of_matched_spectra():
    """What a spectrum was multiplied with: Legendre polynomials of wavelength between two ends."""
    wave, ends = np.linspace(4000.0, 7000.0, 13), (3900.0, 7100.0)
    coefficients = np.random.default_rng(1).normal(1, 0.1, (4, 2, 3))
    spectra = xr.Dataset(
        {"polynomial": (("order", "y", "x"), coefficients.astype("f4"))},
        coords={"wave": wave},
        attrs={"polynomial_ends": list(ends)},
    )
    argument = 2 * (wave - ends[0]) / (ends[1] - ends[0]) - 1
    want = np.moveaxis(np.polynomial.legendre.legval(argument, coefficients), -1, 0)
    np.testing.assert_allclose(matching_of(spectra).factor, want, rtol=1e-5)  # single precision
    assert matching_of(spectra.drop_vars("polynomial")) is None
