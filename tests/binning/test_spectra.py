"""Spectra of bins."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from pxdask.binning import spectra as module
from pxdask.binning.spectra import bin_spectra
from pxdask.core.errors import ConfigError, DataError
from pxdask.core.schema import CUBE
from pxdask.kernels.noise import aperture_growth


def cube_of(flux, flux_err=None, *, region=None, noise_area=None):
    """Return a cube/1 dataset of (wave, y, x) values."""
    flux = np.asarray(flux, dtype=np.float32)
    n_wave = len(flux)
    values = {
        "wave": np.linspace(4000.0, 5000.0, n_wave),
        "lsf_fwhm": np.full(n_wave, 2.5),
        "flux": flux,
        "flux_err": np.ones_like(flux) if flux_err is None else np.asarray(flux_err, np.float32),
        "flags": np.zeros(flux.shape, np.uint16),
    }
    if region is not None:
        values["region"] = np.asarray(region)
    if noise_area is not None:
        values["noise_area"] = np.full(n_wave, float(noise_area))
    variables = {
        name: (CUBE.variables[name].dims, value, CUBE.attrs(name)) for name, value in values.items()
    }
    return CUBE.validate(xr.Dataset(variables, attrs={"schema": CUBE.tag}))


def test_sums_and_errors_by_hand():
    flux = np.arange(12.0).reshape(3, 2, 2)
    cube = cube_of(flux, np.full(flux.shape, 3.0))
    found = bin_spectra(cube, np.array([[1, 0], [1, -1]]), min_coverage=0.9)
    np.testing.assert_array_equal(found.spectrum, [[1, 5, 9], [2, 10, 18]])
    np.testing.assert_allclose(found.spectrum_err, [[3] * 3, [np.sqrt(18)] * 3], rtol=1e-14)
    np.testing.assert_array_equal(found.coverage, [1, 1])
    np.testing.assert_array_equal(found.wave, [4000, 4500, 5000])
    np.testing.assert_array_equal(found.lsf_fwhm, 2.5)
    assert found.spectrum.dtype == np.float64


def test_ninety_percent_stand_for_all():
    # Ten pixels of 2 with errors 1; nine have a spectrum: 18 x 10 / 9, error 3 x 10 / 9.
    region = np.ones((2, 5), dtype=bool)
    region[1, 4] = False
    cube = cube_of(np.full((1, 2, 5), 2.0), region=region)
    found = bin_spectra(cube, np.zeros((2, 5), int), min_coverage=0.9)
    assert found.spectrum[0, 0] == pytest.approx(20.0, rel=1e-14)
    assert found.spectrum_err[0, 0] == pytest.approx(10 / 3, rel=1e-14)
    assert found.coverage[0] == 0.9
    region[0, 0] = False
    cube = cube_of(np.full((1, 2, 5), 2.0), region=region)
    found = bin_spectra(cube, np.zeros((2, 5), int), min_coverage=0.9)
    assert np.isnan(found.spectrum).all()
    assert np.isnan(found.spectrum_err).all()
    assert found.coverage[0] == 0.8


def test_single_wavelengths_are_filled_likewise():
    flux = np.full((4, 1, 10), 2.0)
    error = np.ones_like(flux)
    flux[1, 0, 0] = np.nan
    error[2, 0, :2] = [0.0, np.inf]
    found = bin_spectra(cube_of(flux, error), np.zeros((1, 10), int), min_coverage=0.9)
    np.testing.assert_allclose(found.spectrum[0], [20, 20, np.nan, 20], rtol=1e-14)
    assert found.coverage[0] == 1
    few = bin_spectra(cube_of(flux, error), np.zeros((1, 10), int), min_coverage=0.5)
    np.testing.assert_allclose(few.spectrum[0], 20, rtol=1e-14)


def test_correlated_noise_raises_errors():
    cube = cube_of(np.ones((1, 3, 3)), noise_area=4.0)
    found = bin_spectra(cube, np.zeros((3, 3), int), min_coverage=1.0)
    assert found.spectrum_err[0, 0] == pytest.approx(3 * np.sqrt(aperture_growth(9, 4.0)))
    assert found.spectrum_err[0, 0] > 3


def test_bins_off_the_spectroscopy_are_nan_and_without_region_good_values_tell():
    flux = np.full((2, 1, 4), np.nan)
    flux[1, 0, :2] = 1.0
    found = bin_spectra(cube_of(flux), np.array([[0, 0, 1, 3]]), min_coverage=0.9)
    np.testing.assert_array_equal(found.coverage, [1, 0, np.nan, 0])
    np.testing.assert_array_equal(found.spectrum[0], [np.nan, 2])
    assert np.isnan(found.spectrum[1:]).all()
    none = bin_spectra(cube_of(np.full((2, 1, 4), np.nan)), np.zeros((1, 4), int), min_coverage=0.9)
    assert np.isnan(none.spectrum).all()


def test_no_bins():
    found = bin_spectra(cube_of(np.ones((2, 1, 3))), np.full((1, 3), -1), min_coverage=0.9)
    assert found.spectrum.shape == (0, 2)
    assert found.coverage.shape == (0,)


def test_faults_are_named():
    cube = cube_of(np.ones((2, 1, 3)))
    with pytest.raises(DataError, match=r"on a grid of \(1, 3\), the bins on \(2, 3\)"):
        bin_spectra(cube, np.zeros((2, 3), int), min_coverage=0.9)
    with pytest.raises(ConfigError, match=r"min_coverage is 1\.5"):
        bin_spectra(cube, np.zeros((1, 3), int), min_coverage=1.5)


@given(st.integers(0, 10**6))
def test_light_is_conserved_whatever_the_blocks(seed):
    rng = np.random.default_rng(seed)
    flux = rng.normal(5, 2, (7, 5, 6))
    bin_map = rng.integers(-1, 4, (5, 6))
    cube = cube_of(flux)
    whole = bin_spectra(cube, bin_map, min_coverage=1.0)
    total = cube["flux"].values[:, bin_map >= 0].astype(float).sum(axis=1)
    # float64 sums of at most 30 float32 values
    np.testing.assert_allclose(np.nansum(whole.spectrum, axis=0), total, rtol=1e-12)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_BLOCK", 40)
        parts = bin_spectra(cube, bin_map, min_coverage=1.0)
    np.testing.assert_array_equal(parts.spectrum, whole.spectrum)
    np.testing.assert_array_equal(parts.spectrum_err, whole.spectrum_err)
    np.testing.assert_array_equal(parts.coverage, whole.coverage)
