"""Products of spectra of bins and pixels, and their maps."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import xarray as xr

from pxdask.core.errors import DataError
from pxdask.core.flags import Flag
from pxdask.core.models import ModelConfig
from pxdask.core.schema import FIT
from pxdask.ifs.products import (
    LinesStage,
    Spectra,
    paint_products,
    posterior_starlight,
    spectra_of_bins,
    spectra_of_pixels,
    spectral_products,
)
from pxdask.sps import synthetic_ssp
from pxdask.sps.libraries import ModelLibrary
from pxdask.testing import check_stage, fake_galaxy
from tests.binning.test_spectra import cube_of
from tests.ifs.test_lines import LSF, TRUE, WAVE, Z, mock

DISTANCE = 135.0


def spectra(n=4, *, noise=0.1):
    flux = mock(n, velocity=np.linspace(-100, 100, n))
    flux = flux + noise * np.random.default_rng(1).standard_normal(flux.shape)
    bin_map = np.array([[0, 0, 1], [2, 3, -1]], np.int32)
    n_pix = np.array([2, 1, 1, 1], np.int32)
    return Spectra(WAVE, LSF, flux, np.full(flux.shape, noise), n_pix, bin_map, None)


def products(given=None, *, seed=0, **kwargs):
    rng = np.random.default_rng(seed)
    given = spectra() if given is None else given
    return spectral_products(given, redshift=Z, distance=DISTANCE, rng=rng, **kwargs)


def test_values_and_maps():
    found = products()
    np.testing.assert_allclose(found["flux"].sel(line=found["line"] == "halpha"), 70, rtol=0.05)
    np.testing.assert_allclose(found["decrement"], TRUE["halpha"] / TRUE["hbeta"], rtol=0.05)
    assert np.all(found["sfr"] > 0)
    assert np.all(found["sfr_err"] < 0.2 * found["sfr"])
    # A flat F_lambda: the ratio of the means of wave^2, 16403333 / 15210833, but for lines
    # ([Ne III], H epsilon are not in the mock).
    np.testing.assert_allclose(found["dn4000"], 1.07840, rtol=0.01)
    maps = paint_products(found)
    flux = found["flux"].values[:, list(found["line"].values).index("halpha")]
    wanted = [[flux[0] / 2, flux[0] / 2, flux[1]], [flux[2], flux[3], np.nan]]
    np.testing.assert_allclose(maps["flux_halpha"], wanted, rtol=1e-6)
    assert np.nansum(maps["sfr"]) == pytest.approx(float(found["sfr"].sum()), rel=1e-6)
    np.testing.assert_allclose(maps["velocity"][0, :2], found["velocity"][0], rtol=1e-6)
    assert maps["flux_halpha"].attrs["units"] == "1e-17 erg s-1 cm-2"
    assert maps["sfr"].attrs["units"] == "Msun yr-1"


def test_flags():
    given = spectra()
    flux = given.flux.copy()
    flux[0] = np.nan
    rest = WAVE / (1 + Z)
    flux[1, rest > 6000] = np.nan
    flux[2] = 3 + 0.1 * np.random.default_rng(8).standard_normal(WAVE.size)
    found = products(replace(given, flux=flux))
    assert np.all(found["flags"][0] == Flag.NO_DATA)
    assert found["flags"][1].values.tolist() == [0, 0, 0] + 4 * [int(Flag.NO_DATA)]
    assert np.all(found["flags"][2] == Flag.UPPER_LIMIT)
    assert np.all(np.isfinite(found["limit"][2]))
    assert np.all(np.isnan(found["limit"][:2]))
    assert np.isfinite(found["sfr"].values).tolist() == [False, False, False, True]


def test_pixels_of_a_cube():
    flux = np.full((WAVE.size, 2, 3), np.nan)
    given = spectra()
    for i, (y, x) in enumerate([(0, 0), (0, 2), (1, 1), (1, 2)]):
        flux[:, y, x] = given.flux[i]
    region = np.isfinite(flux[0])
    cube = cube_of(flux, np.full(flux.shape, 0.1), region=region)
    cube["wave"], cube["lsf_fwhm"] = (
        cube[name].copy(data=value) for name, value in (("wave", WAVE), ("lsf_fwhm", LSF))
    )
    found = spectra_of_pixels(cube)
    assert found.bin_map.tolist() == [[0, -1, 1], [-1, 2, 3]]
    # The cube is float32: 6e-8 of fluxes of 3 to 30.
    np.testing.assert_allclose(found.flux, given.flux, atol=3e-6)
    same = products(replace(given, bin_map=found.bin_map, n_pix=found.n_pix))
    np.testing.assert_allclose(products(found)["flux"], same["flux"], rtol=1e-3)
    empty = cube.assign(region=cube["region"] & False)
    empty["region"].attrs = cube["region"].attrs
    with pytest.raises(DataError, match="no pixel"):
        spectra_of_pixels(empty)


def test_starlight_of_no_bin_is_flat():
    given = spectra()
    stars = np.ones(given.flux.shape)
    stars[1], stars[2] = np.nan, 0.0
    xr.testing.assert_identical(products(given, starlight=stars), products(given))


@cache
def library():
    settings = ModelConfig(nebular=True, n_models=64, priors={"gas_logu": -2.5})
    return ModelLibrary(settings, synthetic_ssp(n_wave=4000), (), Z, 1, lambda: None)


def bins_with_spectra():
    galaxy = fake_galaxy(rng=np.random.default_rng(2), n_model=2, n_pixel=8)
    n_bin = galaxy.bins.sizes["bin"]
    bins = galaxy.bins
    values = {
        "wave": ("wave", WAVE), "lsf_fwhm": ("wave", LSF),
        "spectrum": (("bin", "wave"), mock(n_bin)),
        "spectrum_err": (("bin", "wave"), np.full((n_bin, WAVE.size), 0.1)),
    }  # fmt: skip
    from pxdask.core.schema import BINS

    added = {name: (dims, v, BINS.attrs(name)) for name, (dims, v) in values.items()}
    return BINS.validate(bins.assign(added).set_coords("wave"))


def fit_of(bins):
    """Return a fit/2 of the same parameters for all bins but the last."""
    from pxdask.core.schema import QUANTILES
    from pxdask.sps.parameters import free_parameters, parameter

    n_bin, n_band = bins.sizes["bin"], bins.sizes["band"]
    values = {
        name: (("bin", "quantile"), np.full((n_bin, 3), 0.5 * (entry.low + entry.high)))
        for name in free_parameters(library().settings)
        if (entry := parameter(name))
    }
    values["log_age"] = (("bin", "quantile"), np.full((n_bin, 3), 0.5))
    for _, value in values.values():
        value[-1] = np.nan
    fixed = {
        "chi2": ("bin", np.ones(n_bin)),
        "n_used": ("bin", np.full(n_bin, 3, np.int32)),
        "n_eff": ("bin", np.ones(n_bin)),
        "ln_evidence": ("bin", np.ones(n_bin)),
        "model_flux": (("bin", "band"), np.ones((n_bin, n_band))),
        "quantile": ("quantile", np.array(QUANTILES)),
    }
    ds = xr.Dataset(
        {name: (*value, {"units": ""}) for name, value in values.items()}
        | {name: (*value, FIT.attrs(name)) for name, value in fixed.items()},
        attrs={"schema": FIT.tag},
    ).set_coords("quantile")
    return FIT.validate(ds.assign_coords({k: bins[k] for k in ("band", "pivot_wave")}))


def test_starlight_has_no_gas():
    bins = bins_with_spectra()
    fit = fit_of(bins)
    stars = posterior_starlight(fit, library(), wave=WAVE, lsf_fwhm=np.full(WAVE.size, np.nan))
    assert np.all(np.isnan(stars[-1]))
    assert np.all(stars[:-1] > 0)
    other = fit.assign(gas_logz=fit["gas_logz"] - 1.0) if "gas_logz" in fit else fit
    again = posterior_starlight(other, library(), wave=WAVE, lsf_fwhm=np.full(WAVE.size, np.nan))
    np.testing.assert_array_equal(again, stars)


def test_stage():
    bins = bins_with_spectra()
    stage = LinesStage(lambda _: library(), {"n_models": 64}, seed=3)
    row = {"id": "a", "redshift": Z}
    fit = fit_of(bins)
    check_stage(stage, row, {"bins": bins, "fit": fit})
    with pytest.raises(DataError, match="no wave, spectrum"):
        spectra_of_bins(fake_galaxy(rng=np.random.default_rng(2), n_model=2, n_pixel=8).bins)
    with pytest.raises(DataError, match="redshift is None"):
        stage.run({"id": "a"}, bins=bins, fit=fit)
