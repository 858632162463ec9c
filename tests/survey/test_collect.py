"""One store and tables of all galaxies, the same however often it was collected."""

import numpy as np
import pytest
import xarray as xr
from astropy.table import Table
from astropy.units import Unit

import pxdask
from pxdask.core.errors import ConfigError, DamagedError
from pxdask.core.schema import FIT
from pxdask.io.stores import publish
from pxdask.survey.collect import collect


def content(run):
    return {
        path.relative_to(run.store): path.read_bytes()
        for pattern in ("survey.zarr/**/*", "summary*")
        for path in run.store.glob(pattern)
        if path.is_file()
    }


def test_bins_are_those_of_the_galaxies(own_run):
    done = own_run.collect()
    bins = xr.open_zarr(done.store, group="bins", consolidated=False, chunks=None)
    galaxies = xr.open_zarr(done.store, group="galaxies", consolidated=False, chunks=None)
    assert done.n_galaxy == done.n_read == 3
    assert (
        done.n_bin
        == bins.sizes["bin"]
        == sum(own_run.dataset(g, "bins").sizes["bin"] for g in own_run.galaxies)
    )
    for index, name in enumerate(galaxies["id"].values):
        first, n_bin = int(galaxies["first_bin"][index]), int(galaxies["n_bin"][index])
        own = bins.isel(bin=slice(first, first + n_bin))
        assert (own["galaxy"].values == index).all()
        np.testing.assert_array_equal(own["number"].values, np.arange(n_bin))
        fit, cut = own_run.dataset(name, "fit"), own_run.dataset(name, "bins")
        for variable in ("log_mass", "log_mass_std", "chi2", "flags", "model_flux"):
            np.testing.assert_array_equal(own[variable].values, fit[variable].values)
        for variable in ("flux", "flux_err", "n_pix"):
            np.testing.assert_array_equal(own[variable].values, cut[variable].values)
        assert own["log_mass"].attrs["units"] == fit["log_mass"].attrs["units"]
        maps = own_run.store / str(galaxies["maps"].values[index])
        assert maps.is_file()
        mass = np.log10((10 ** fit["log_mass"].sel(quantile=0.5).values).sum())
        assert float(galaxies["log_mass"][index]) == pytest.approx(mass, abs=1e-12)
        np.testing.assert_allclose(galaxies["flux"][index], cut["flux"].sum("bin"), rtol=1e-13)


def test_tables(own_run):
    done = own_run.collect(formats=["ecsv", "parquet"])
    assert [path.name for path in done.tables] == [
        "summary.ecsv", "summary.parquet", "summary-bins.ecsv", "summary-bins.parquet",
    ]  # fmt: skip
    galaxies, bins = (Table.read(own_run.store / f"{n}.ecsv") for n in ("summary", "summary-bins"))
    table = own_run.table()
    assert list(table["id"]) == list(galaxies["id"]) == ["g00", "g01", "g02"]
    assert table["log_mass"].unit == Unit("dex(Msun)")
    assert str(table["ra"].unit) == "deg"
    assert set(table["state"]) == {"done"}
    every = own_run.bins()
    assert list(bins["galaxy"]) == list(every["galaxy"])
    np.testing.assert_array_equal(bins["log_mass_p50"], every["log_mass_p50"].value)
    assert bins["log_mass_p50"].unit == Unit("dex(Msun)")
    assert bins["flux_g"].unit == Unit("uJy")


def test_what_networks_and_samplers_tell_of_themselves(own_run):
    """A galaxy whose fit has not these figures has none in the table."""
    told = {"efficiency": 0.25, "predictive_p": 0.5, "outlier_score": -2.0, "redshift_ratio": 0.1}
    (path,) = own_run.store.glob("galaxies/*/g01/fit-*.zarr.zip")
    fit = own_run.dataset("g01", "fit")
    n_bin = fit.sizes["bin"]
    told |= {"rhat": 1.01, "n_steps": 300}
    extra = {
        name: ("bin", np.full(n_bin, value, FIT.variables[name].dtype), FIT.attrs(name))
        for name, value in told.items()
    }
    publish(fit.assign(extra), path)
    own_run.collect(formats=["ecsv", "parquet"])
    for ending in ("ecsv", "parquet"):
        bins = Table.read(own_run.store / f"summary-bins.{ending}")
        of_network = np.asarray(bins["galaxy"]) == "g01"
        assert of_network.sum() == n_bin
        for name, value in told.items():
            assert set(bins[name][of_network]) == {value}
            others = np.ma.filled(np.ma.asarray(bins[name][~of_network]).astype(float), np.nan)
            assert np.isnan(others).all() or set(others) == {-1.0}
    assert bins["n_steps"].dtype.kind == "i"
    described = Table.read(own_run.store / "summary-bins.ecsv")
    assert described["outlier_score"].description == FIT.variables["outlier_score"].long_name


@pytest.mark.slow
def test_in_parts_as_at_once(finished_run, tmp_path):
    root = finished_run.store.parent

    def submit(**choices):
        return pxdask.submit(
            root / "catalog.ecsv", root / "survey.yaml", tmp_path / "run",
            root=root, serial=True, progress=False, **choices,
        )  # fmt: skip

    run = submit(galaxies=["g01"])
    first = collect(run, shard=64)
    assert (first.n_galaxy, first.n_read) == (1, 1)
    assert list(run.table()["state"]) == ["unfinished", "done", "unfinished"]
    assert list(run.table()["first_bin"]) == [-1, 0, -1]
    run = submit()
    second = collect(run, shard=64)
    assert (second.n_galaxy, second.n_read) == (3, 2)
    parts = content(run)
    assert collect(run, shard=64).n_read == 0
    assert content(run) == parts
    for path in (run.store / "survey.zarr").rglob("*"):
        if path.is_file():
            path.unlink()
    assert collect(run, shard=64).n_read == 3
    assert content(run) == parts


def test_maps_made_again_change_nothing(own_run):
    own_run.collect()
    before = content(own_run)
    again = pxdask.resume(
        own_run.store, serial=True, progress=False, galaxies=["g00"], from_stage="maps"
    )
    assert again.collect().n_read == 0
    assert content(again) == before


def test_nothing_to_collect(own_run):
    for path in (own_run.store / "manifest").iterdir():
        path.unlink()
    with pytest.raises(ConfigError, match="no galaxy has a fit"):
        own_run.collect()
    with pytest.raises(ConfigError, match="pxdask collect"):
        own_run.table()
    with pytest.raises(ConfigError, match="hdf5; wanted fits, ecsv, parquet"):
        own_run.collect(formats=["hdf5"])
    assert not list(own_run.store.glob("*survey.zarr*"))


@pytest.mark.parametrize("harm", ["overwritten", "cut", "empty", "gone", "metadata"])
@pytest.mark.parametrize("group", ["galaxies/dec", "bins/chi2"])
def test_a_damaged_store_is_made_anew(group, harm, own_run):
    own_run.collect(formats=["ecsv"])
    before = content(own_run)
    folder = own_run.store / "survey.zarr" / group
    (piece,) = folder.glob("c/*")
    harms = {
        "overwritten": lambda: piece.write_bytes(b"xxxx" + piece.read_bytes()[4:]),
        "cut": lambda: piece.write_bytes(piece.read_bytes()[:-9]),
        "empty": lambda: piece.write_bytes(b""),
        "gone": piece.unlink,
        "metadata": lambda: (folder / "zarr.json").write_text("{"),
    }
    harms[harm]()
    (own_run.store / "summary-bins.ecsv").unlink()  # so that all rows are read
    own_run.collect(formats=["ecsv"])
    assert content(own_run) == before


def test_a_damaged_table_of_galaxies_says_how_to_mend_it(own_run):
    own_run.collect(formats=["ecsv"])
    (piece,) = (own_run.store / "survey.zarr" / "galaxies" / "dec").glob("c/*")
    piece.write_bytes(b"xxxx" + piece.read_bytes()[4:])
    with pytest.raises(DamagedError, match="`pxdask collect` makes it anew"):
        own_run.table()


def test_an_output_that_is_damaged_is_named(own_run):
    (path,) = own_run.store.glob("galaxies/*/g01/fit-*.zarr.zip")
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(DamagedError, match=path.name):
        own_run.collect(formats=["ecsv"])
