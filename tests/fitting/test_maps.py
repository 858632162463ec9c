import numpy as np
import pytest

from pxdask.core.config import FitConfig
from pxdask.core.cosmology import kpc_per_arcsec
from pxdask.core.errors import DataError
from pxdask.core.models import ModelConfig
from pxdask.fitting import FitStage, MapStage
from pxdask.testing import check_stage, fake_galaxy, library_of

GALAXY = fake_galaxy(rng=np.random.default_rng(3), n_model=200, snr=4.0)
FIT = FitStage(FitConfig(), lambda _: library_of(GALAXY.models), {}, 0, 10_000).run(
    GALAXY.row, bins=GALAXY.bins
)
BIN_MAP = GALAXY.bins["bin_map"].values
CLOSE = {"rtol": 0, "atol": 2e-6}  # maps are float32: 6e-8 of values up to about 10


def made(*, cube=GALAXY.cube, bins=GALAXY.bins, fit=FIT, **row):
    return MapStage().run(GALAXY.row | row, cube=cube, bins=bins, fit=fit)


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
        *("log_mw_age", "logzsol", "av"),
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
    assert planck.settings() == {"cosmology": "Planck18"}
    assert MapStage().settings() == {"hubble": 70.0, "omega_m": 0.3}


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


def test_inputs_of_different_galaxies_are_named():
    with pytest.raises(DataError, match=r"fake-1.*bins \d+, the fit 2"):
        made(fit=FIT.isel(bin=slice(2)))
    cube = GALAXY.cube.assign_attrs()
    del cube.attrs["wcs"]
    with pytest.raises(DataError, match=r"no attrs\['wcs'\]"):
        made(cube=cube)
    with pytest.raises(DataError, match="redshift"):
        made(redshift=float("nan"))
