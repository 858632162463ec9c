import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxdask.ifs.smoothing import Slices, smoothed, wave_margin

FWHM_PER_SIGMA = 2.3548200450309493
WAVE = 5000.0 + 2.0 * np.arange(120)


def spectrum_of(flux, *, variance=1.0, lsf=5.0):
    flux = np.asarray(flux, float)[:, None, None]
    return Slices(flux, np.full(flux.shape, float(variance)), np.full(flux.shape[0], float(lsf)))


def line(fwhm):
    return np.exp(-0.5 * ((WAVE - 5120.0) / (fwhm / FWHM_PER_SIGMA)) ** 2)


@pytest.mark.parametrize("smooth_to", [5.2, 6.0, 7.0, 10.0, 14.0])
def test_lines_get_the_width_wanted(smooth_to):
    # second moments of weights add exactly; 1e-5: their table, and the Gaussian's cut
    out = smoothed(spectrum_of(line(5.0)), wave=WAVE, smooth_to=smooth_to, keep=(0, WAVE.size))
    flux = out.flux[:, 0, 0]
    centre = np.sum(WAVE * flux) / flux.sum()
    sigma = np.sqrt(np.sum((WAVE - centre) ** 2 * flux) / flux.sum())
    assert sigma * FWHM_PER_SIGMA == pytest.approx(smooth_to, rel=1e-4)
    assert flux.sum() == pytest.approx(line(5.0).sum(), rel=1e-6)
    assert np.all(out.lsf_fwhm == smooth_to)


def test_wider_lines_stay():
    cube = spectrum_of(line(12.0), lsf=12.0)
    out = smoothed(cube, wave=WAVE, smooth_to=10.0, keep=(3, 9))
    assert np.array_equal(out.flux, cube.flux[3:9])
    assert np.array_equal(out.variance, cube.variance[3:9])
    assert np.all(out.lsf_fwhm == 12.0)


def test_variance_of_white_noise():
    # a Gaussian of sigma s [bins] leaves 1 / (2 sqrt(pi) s); binning matters to 2 %
    out = smoothed(spectrum_of(0 * WAVE), wave=WAVE, smooth_to=13.0, keep=(40, 80))
    s = np.sqrt(13.0**2 - 5.0**2) / FWHM_PER_SIGMA / 2.0
    assert out.variance.ravel() == pytest.approx(1 / (2 * np.sqrt(np.pi) * s), rel=0.02)


def test_gaps_are_bridged_only_where_most_is_known():
    flux = np.ones(WAVE.size)
    flux[50] = np.nan  # one of many
    flux[70:100] = np.nan  # far wider than the Gaussian
    out = smoothed(spectrum_of(flux), wave=WAVE, smooth_to=12.0, keep=(0, WAVE.size))
    got = out.flux[:, 0, 0]
    assert got[50] == pytest.approx(1.0)
    assert np.all(np.isnan(got[75:95]))
    assert got[np.isfinite(got)] == pytest.approx(1.0)


@given(st.integers(0, 118), st.integers(1, 40), st.floats(5.0, 30.0), st.integers(0, 2**32 - 1))
def test_margin_is_enough(start, n, smooth_to, seed):
    rng = np.random.default_rng(seed)
    wave = np.sort(WAVE + rng.uniform(-0.9, 0.9, WAVE.size))
    lsf = rng.uniform(3.0, 8.0, WAVE.size)
    flux = rng.normal(size=WAVE.size)
    flux[rng.random(WAVE.size) < 0.1] = np.nan
    cube = spectrum_of(flux)._replace(lsf_fwhm=lsf)
    stop = min(start + n, WAVE.size)
    whole = smoothed(cube, wave=wave, smooth_to=smooth_to, keep=(start, stop))
    first, last = wave_margin(wave, lsf, smooth_to=smooth_to, start=start, stop=stop)
    part = Slices(*(each[first:last] for each in cube))
    keep = (start - first, stop - first)
    got = smoothed(part, wave=wave[first:last], smooth_to=smooth_to, keep=keep)
    for a, b in zip(got, whole, strict=True):
        assert np.array_equal(a, b, equal_nan=True)


def test_no_smoothing_needs_no_margin():
    assert wave_margin(WAVE, 0 * WAVE, smooth_to=None, start=5, stop=9) == (5, 9)
