import logging
import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pxdask.core.config import FitConfig, MapConfig
from pxdask.core.cosmology import kpc_per_arcsec
from pxdask.core.errors import DataError
from pxdask.core.models import ModelConfig
from pxdask.fitting import FitStage, MapStage
from pxdask.fitting.maps import cos_inclination, log_pixel_shares
from pxdask.testing import check_stage, fake_galaxy, library_of

GALAXY = fake_galaxy(rng=np.random.default_rng(3), n_model=200, snr=4.0)
FIT = FitStage(FitConfig(), lambda _: library_of(GALAXY.models), {}, 0, 10_000).run(
    GALAXY.row, bins=GALAXY.bins
)
BIN_MAP = GALAXY.bins["bin_map"].values
CLOSE = {"rtol": 0, "atol": 2e-6}  # maps are float32: 6e-8 of values up to about 10


def made(*, cube=GALAXY.cube, bins=GALAXY.bins, fit=FIT, maps=None, **row):
    stage = MapStage(config=MapConfig(**(maps or {})))
    return stage.run(GALAXY.row | row, cube=cube, bins=bins, fit=fit)


def with_masses(fit=FIT):
    """A fit with further results that grow with a bin, and one parameter of no such kind."""
    masses, fit = fit["log_mass"], fit.copy()
    fit["log_dustmass"] = masses - 3
    fit["log_dust_luminosity"] = (masses + 0.5).assign_attrs(units="dex(Lsun)", long_name="L")
    fit["log_sfr_10myr"] = (fit["log_sfr"] + 0.1).assign_attrs(fit["log_sfr"].attrs)
    fit["log_dustmass"].attrs.update(masses.attrs)
    fit["log_u"] = (0.0 * masses - 2.5).assign_attrs(units="", long_name="ionisation parameter")
    return fit


def summed(image):
    """Log of the sum of each bin's pixels, which hold logs."""
    members = BIN_MAP[BIN_MAP >= 0]
    linear = np.nan_to_num(10.0 ** image[BIN_MAP >= 0].astype(float))
    return np.log10(np.bincount(members, weights=linear))


def test_contract():
    inputs = {"cube": GALAXY.cube, "bins": GALAXY.bins, "fit": FIT}
    maps = check_stage(MapStage(), GALAXY.row, inputs)
    assert set(maps.data_vars) == {
        *("log_mass", "log_sfr", "log_mass_density", "log_sfr_density"),
        *("log_mw_age", "logzsol", "av", "log_age", "log_tau", "dust2"),
    }


def test_published_scale_of_ngc_309():
    # Abdurro'uf et al. 2021: 0.575187 kpc for 1.5 arcsec at z = 0.0188977, H0 70, Omega_m 0.3.
    assert round(1.5 * kpc_per_arcsec(ModelConfig(), redshift=0.0188977), 6) == 0.575187
    maps = made()  # the made-up galaxy has that redshift and those pixels
    assert round(maps.attrs["kpc_per_pixel"], 6) == 0.575187


def test_the_cosmology_is_that_of_the_models():
    planck = MapStage(ModelConfig(cosmology="Planck18"))
    maps = planck.run(GALAXY.row, cube=GALAXY.cube, bins=GALAXY.bins, fit=FIT)
    # angular distances go as 1 / H0 here, to a few z: H0 is 67.66 in Planck18
    ratio = maps.attrs["kpc_per_pixel"] / made().attrs["kpc_per_pixel"]
    assert ratio == pytest.approx(70 / 67.66, rel=1e-3)
    maps = {"mass_band": None, "sfr_band": None, "inclination": False}
    assert planck.settings() == {"cosmology": "Planck18", **maps}
    assert MapStage().settings() == {"hubble": 70.0, "omega_m": 0.3, **maps}


@pytest.mark.parametrize("name", ["log_mass", "log_sfr"])
def test_pixels_of_a_bin_add_up_to_it(name):
    for i in range(3):
        np.testing.assert_allclose(summed(made()[name].values[i]), FIT[name][:, i], **CLOSE)


@pytest.mark.parametrize(("name", "band"), [("log_mass", 4), ("log_sfr", 0)])
def test_shares_are_those_of_the_reddest_or_bluest_band(name, band):
    bright = GALAXY.bins.assign(flux_err=GALAXY.bins["flux_err"] / 100)
    image = made(bins=bright)[name].values[1]
    light = GALAXY.cube["flux"].values[band].astype(float)
    y, x = np.nonzero((np.bincount(BIN_MAP[BIN_MAP >= 0]).argmax() == BIN_MAP) & (light > 0))
    ratio = light[y, x] / light[y[0], x[0]]
    np.testing.assert_allclose(image[y, x] - image[y[0], x[0]], np.log10(ratio), **CLOSE)


def test_density_is_per_square_kpc():
    maps = made()
    area = 2 * np.log10(maps.attrs["kpc_per_pixel"])
    for name in ("log_mass", "log_sfr"):
        np.testing.assert_allclose(maps[f"{name}_density"] + area, maps[name], **CLOSE)
    assert maps["log_sfr_density"].attrs["units"] == "dex(Msun / (yr kpc2))"


def test_ages_are_constant_in_bins_and_nan_outside():
    image = made()["log_mw_age"].values
    assert np.isnan(image[:, BIN_MAP < 0]).all()
    np.testing.assert_array_equal(
        image[:, BIN_MAP >= 0].T, FIT["log_mw_age"].values[BIN_MAP[BIN_MAP >= 0]].astype("f4")
    )


def test_a_negative_pixel_has_no_share():
    cube = GALAXY.cube.copy(deep=True)
    y, x = (int(i[0]) for i in np.nonzero(BIN_MAP.max() == BIN_MAP))
    cube["flux"].values[4, y, x] = -5.0
    maps = made(cube=cube)
    assert np.isnan(maps["log_mass"].values[:, y, x]).all()
    assert np.isfinite(maps["log_sfr"].values[:, y, x]).all()
    np.testing.assert_allclose(summed(maps["log_mass"].values[1]), FIT["log_mass"][:, 1], **CLOSE)


def test_without_light_a_bin_is_shared_equally():
    cube = GALAXY.cube.copy(deep=True)
    cube["flux"].values[:] = -1.0
    image = made(cube=cube)["log_mass"].values[1]
    n_pix = GALAXY.bins["n_pix"].values
    want = (FIT["log_mass"].values[:, 1] - np.log10(n_pix))[BIN_MAP[BIN_MAP >= 0]]
    np.testing.assert_allclose(image[BIN_MAP >= 0], want, **CLOSE)


@pytest.mark.parametrize("lost", ["pixel", "bin_error", "bin_negative", "bin_faint"])
def test_a_band_that_lacks_a_pixel_or_the_bin_gives_way_to_the_next(lost):
    cube, bins = GALAXY.cube.copy(deep=True), GALAXY.bins.copy(deep=True)
    number = int(BIN_MAP.max())
    y, x = np.nonzero(number == BIN_MAP)
    if lost == "pixel":
        cube["flux"].values[0, y[0], x[0]] = np.nan
    elif lost == "bin_error":
        bins["flux_err"].values[number, 0] = np.nan
    elif lost == "bin_faint":  # noise would draw the map
        bins["flux"].values[number, 0] = 4.9 * bins["flux_err"].values[number, 0]
    else:
        bins["flux"].values[number, 0] = -1.0
    light = np.clip(cube["flux"].values[1, y, x].astype(float), 0, None)
    with np.errstate(divide="ignore"):
        want = FIT["log_sfr"].values[number, 1] + np.log10(light / light.sum())
    got = made(cube=cube, bins=bins)["log_sfr"].values[1, y, x]
    np.testing.assert_allclose(got[light > 0], want[light > 0], **CLOSE)


def test_a_bin_without_posterior_is_nan():
    fit = FIT.copy(deep=True)
    fit["log_mass"].values[0] = np.nan
    assert np.isnan(made(fit=fit)["log_mass"].values[:, BIN_MAP == 0]).all()


def test_one_band():
    galaxy = fake_galaxy(rng=np.random.default_rng(1), n_pixel=9, n_band=1, n_model=20)
    fit = FitStage(FitConfig(), lambda _: library_of(galaxy.models), {}, 0, 99).run(
        galaxy.row, bins=galaxy.bins
    )
    maps = MapStage().run(galaxy.row, cube=galaxy.cube, bins=galaxy.bins, fit=fit)
    assert np.isfinite(maps["log_mass"].values[1]).any()


@pytest.mark.parametrize("reddest", [True, False])
@pytest.mark.parametrize("band", [None, "fake_2"])
def test_the_shares_of_a_bin_add_up_to_one(reddest, band):
    log_shares = log_pixel_shares(GALAXY.cube, GALAXY.bins, band=band, reddest=reddest)
    # sums of a few hundred float64 of up to one
    sums = 10 ** summed(log_shares)
    np.testing.assert_allclose(sums, 1, rtol=0, atol=1e-12)
    assert np.isnan(log_shares[BIN_MAP < 0]).all()


def test_all_that_grows_with_a_bin_is_shared_and_all_else_is_painted():
    fit = with_masses()
    maps = made(fit=fit)
    for name in ("log_dustmass", "log_dust_luminosity", "log_sfr_10myr"):
        np.testing.assert_allclose(summed(maps[name].values[1]), fit[name][:, 1], **CLOSE)
        assert f"{name}_density" in maps
    step = maps["log_sfr_10myr"] - maps["log_sfr"]  # both as the bluest light
    np.testing.assert_allclose(step.values[np.isfinite(step)], 0.1, **CLOSE)
    step = maps["log_dustmass"] - maps["log_mass"]  # both as the reddest
    np.testing.assert_allclose(step.values[np.isfinite(step)], -3, **CLOSE)
    assert maps["log_dust_luminosity_density"].attrs["units"] == "dex(Lsun / kpc2)"
    assert np.all(maps["log_u"].values[:, BIN_MAP >= 0] == -2.5)
    assert "log_u_density" not in maps
    results = {name for name in fit.data_vars if "quantile" in fit[name].dims}
    assert results == {name for name in maps.data_vars if not name.endswith("_density")}


@pytest.mark.parametrize(("key", "name"), [("mass_band", "log_mass"), ("sfr_band", "log_sfr")])
def test_a_named_band_shares(key, name):
    bins = GALAXY.bins.copy(deep=True)
    bins["flux_err"].values[:] = bins["flux"].values / 10  # every band counts
    image = made(bins=bins, maps={key: "fake_2"})[name].values[1]
    light = np.clip(GALAXY.cube["flux"].values[2].astype(float), 0, None)[BIN_MAP >= 0]
    members = BIN_MAP[BIN_MAP >= 0]
    share = light / np.bincount(members, weights=light)[members]
    lit = share > 0
    want = FIT[name].values[members, 1][lit] + np.log10(share[lit])
    np.testing.assert_allclose(image[BIN_MAP >= 0][lit], want, **CLOSE)
    other = {"log_mass": "log_sfr", "log_sfr": "log_mass"}[name]
    np.testing.assert_array_equal(
        made(bins=bins)[other], made(bins=bins, maps={key: "fake_2"})[other]
    )


def test_where_the_named_band_is_faint_the_next_by_wavelength_shares():
    bins = GALAXY.bins.copy(deep=True)
    bins["flux_err"].values[:] = bins["flux"].values / 10
    plain = made(bins=bins)["log_mass"].values
    number = int(BIN_MAP.max())
    bins["flux"].values[number, 2] = 4.9 * bins["flux_err"].values[number, 2]
    image = made(bins=bins, maps={"mass_band": "fake_2"})["log_mass"].values
    np.testing.assert_array_equal(image[:, number == BIN_MAP], plain[:, number == BIN_MAP])
    assert not np.array_equal(image, plain, equal_nan=True)


def test_a_band_that_the_cube_has_not_is_refused():
    with pytest.raises(DataError, match=r"fake-1.*mass_band names band 'fake_9', the cube has"):
        made(maps={"mass_band": "fake_9"})


def test_inclination_by_hand():
    # (0.36 - 0.04) / 0.96 = 1 / 3
    assert cos_inclination(0.6, thickness=0.2) == pytest.approx(3**-0.5, rel=1e-14)
    maps = made(maps={"inclination": True, "axis_ratio": 0.6, "thickness": 0.2})
    plain = made()
    assert maps.attrs["cos_inclination"] == pytest.approx(3**-0.5, rel=1e-14)
    for name in ("log_mass", "log_sfr"):
        got = maps[f"{name}_density"] - plain[f"{name}_density"]
        np.testing.assert_allclose(got.values[np.isfinite(got)], -0.5 * math.log10(3), **CLOSE)
        np.testing.assert_array_equal(maps[name], plain[name])
        assert maps[f"{name}_density"].attrs["long_name"].endswith("per area of the disc")
    assert maps["log_mass_density"].attrs["units"] == "dex(Msun / kpc2)"


@given(st.floats(0.001, 1), st.floats(0, 0.99))
def test_inclination_is_between_edge_and_face(ratio, thickness):
    cosine = cos_inclination(ratio, thickness=thickness)
    assert 0 <= cosine <= ratio + 1e-12  # a thick disc is more inclined than it looks
    assert cos_inclination(1.0, thickness=thickness) == pytest.approx(1, rel=1e-12)
    assert cos_inclination(ratio, thickness=0.0) == pytest.approx(ratio, rel=1e-12)


def test_face_on_changes_nothing():
    maps = made(maps={"inclination": True, "axis_ratio": "q"}, q=1)
    for name, values in made().data_vars.items():
        np.testing.assert_array_equal(maps[name], values)
    assert maps.attrs["cos_inclination"] == 1


def test_an_edge_on_disc_has_no_density_and_that_is_said(caplog):
    with caplog.at_level(logging.WARNING):
        maps = made(maps={"inclination": True}, axis_ratio=0.13)
    assert "galaxy fake-1: axis ratio 0.13 is not above maps.thickness 0.13" in caplog.text
    assert np.isnan(maps["log_mass_density"]).all()
    np.testing.assert_array_equal(maps["log_mass"], made()["log_mass"])


@pytest.mark.parametrize("value", [None, "", "flat", float("nan"), 0.0, -0.5, 1.2])
def test_an_axis_ratio_that_is_none_is_named(value):
    with pytest.raises(DataError, match=r"fake-1: axis_ratio is .*above 0 and at most 1"):
        made(maps={"inclination": True}, axis_ratio=value)
    with pytest.raises(DataError, match="fake-1: q is None"):
        made(maps={"inclination": True, "axis_ratio": "q"})
    assert made(axis_ratio=value) is not None  # not read where it is not asked for


@pytest.mark.parametrize("value", [0.0, -1.0, 1.01])
def test_an_axis_ratio_in_the_settings_is_checked_there(value):
    with pytest.raises(ValidationError, match="above 0 and at most 1"):
        MapConfig(axis_ratio=value)


def test_settings_are_those_that_count():
    plain = MapStage().settings()
    assert MapStage(config=MapConfig(axis_ratio=0.3)).settings() == plain
    inclined = MapStage(config=MapConfig(inclination=True)).settings()
    assert inclined["axis_ratio"] == "axis_ratio"
    assert inclined["thickness"] == 0.13
    assert MapStage(config=MapConfig(sfr_band="fake_1")).settings() != plain


def test_thousands_of_bins_take_no_loop_over_them():
    # piXedfit takes 32 s for as many bins; here 0.03 s, and the bound is for a busy machine
    n_pixel, n_band = 250, 5
    galaxy = fake_galaxy(rng=np.random.default_rng(5), n_pixel=n_pixel, n_band=n_band, n_model=5)
    region = galaxy.bins["bin_map"].values >= 0
    labels = np.full(region.shape, -1, np.int32)
    labels[region] = np.arange(region.sum()) * 4516 // region.sum()
    n_bin = labels.max() + 1
    flux = np.array(
        [np.bincount(labels[region], weights=band[region]) for band in galaxy.cube["flux"].values]
    ).T
    bins = galaxy.bins.drop_dims("bin").assign(
        bin_map=(("y", "x"), labels),
        flux=(("bin", "band"), flux),
        flux_err=(("bin", "band"), np.abs(flux) / 10),
    )
    fit = FIT.isel(bin=np.arange(n_bin) % FIT.sizes["bin"])
    start = time.perf_counter()
    maps = MapStage().run(galaxy.row, cube=galaxy.cube, bins=bins, fit=fit)
    took = time.perf_counter() - start
    assert n_bin == 4516
    assert np.isfinite(maps["log_mass"].values[1, region]).mean() > 0.9
    assert took < 1.0


def test_inputs_of_different_galaxies_are_named():
    with pytest.raises(DataError, match=r"fake-1.*bins \d+, the fit 2"):
        made(fit=FIT.isel(bin=slice(2)))
    cube = GALAXY.cube.assign_attrs()
    del cube.attrs["wcs"]
    with pytest.raises(DataError, match=r"no attrs\['wcs'\]"):
        made(cube=cube)
    with pytest.raises(DataError, match="redshift"):
        made(redshift=float("nan"))
