"""The break at 4000 Angstrom."""

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from pxdask.core.errors import ConfigError
from pxdask.ifs.indices import dn4000
from tests.paths import real_data

WAVE = np.arange(3800.0, 4200.0, 2.0)


def measured(flux, error=None, *, wave=WAVE, redshift=0.0, seed=0, n_draws=100):
    flux = np.atleast_2d(flux)
    error = np.full(flux.shape, 0.1) if error is None else np.broadcast_to(error, flux.shape)
    rng = np.random.default_rng(seed)
    return dn4000(wave, flux, error, redshift=redshift, rng=rng, n_draws=n_draws)


def test_step_by_hand():
    # Means of wave^2: 1.5210833e7 over 3850-3950, 1.6403333e7 over 4000-4100 (thirds of differences
    # of cubes), so a spectrum of 1 below 3975 and 2 above has 2 x 16403333 / 15210833 = 2.1567960.
    # Bins of 2 A see wave^2 to (2^2 / 12) / 4e3^2 = 2e-8.
    found = measured(np.where(WAVE < 3975, 1.0, 2.0))
    assert found.value[0] == pytest.approx(2.1567961, rel=1e-7)


def test_bins_at_the_ends_count_by_their_part():
    # Bins of 30 A around 3840, 3870, ..., 3960: the blue band has 5 A of the first, then three
    # whole ones, then 5 A of the last; with 1 in the first and 0 elsewhere the mean is 5 % of it.
    wave = np.arange(3840.0, 4200.0, 30.0)
    flux = np.where(wave == 3840, 1e6, 1e-9) / wave**2
    flat = measured(1e6 / wave**2, wave=wave).value[0]
    assert flat == pytest.approx(1.0, rel=1e-12)
    found = measured(flux, wave=wave)
    assert 1 / found.value[0] == pytest.approx(0.05 * 1e15, rel=1e-9)


@given(st.floats(0.01, 100), st.floats(0, 3))
def test_neither_scale_nor_redshift_matter(scale, redshift):
    flux = 1 + 0.3 * np.sin(WAVE / 30)
    plain = measured(flux)
    other = measured(scale * flux, 0.1 * scale, wave=WAVE * (1 + redshift), redshift=redshift)
    np.testing.assert_allclose(other.value, plain.value, rtol=1e-10)
    np.testing.assert_allclose(other.error, plain.error, rtol=1e-7)


def test_missing_values():
    flux = np.ones((5, WAVE.size))
    error = np.full(flux.shape, 0.1)
    flux[0, (WAVE > 3850) & (WAVE < 3860)] = np.nan  # a tenth of the band: good enough
    error[1, (WAVE > 3850) & (WAVE < 3875)] = 0.0  # a quarter: not
    flux[2] = -1.0
    flux[3, WAVE > 4010] = np.inf
    error[4] = np.nan
    found = measured(flux, error)
    assert np.isfinite(found.value[0])
    assert np.isfinite(found.error[0])
    assert np.all(np.isnan(found.value[1:]))
    assert np.all(np.isnan(found.error[1:]))
    assert np.isnan(measured(np.ones(3), wave=np.array([5000.0, 5001, 5002])).value[0])


@pytest.mark.statistical
def test_bootstrap_is_that_of_whole_spectra():
    # Against drawing every wavelength, as the paper does: a standard deviation of 4000 draws is
    # right to 1.1 %, two of them to 1.6 %; five of these.
    rng = np.random.default_rng(5)
    flux, error = 2 + np.sin(WAVE / 50), 0.3 + 0.1 * np.cos(WAVE / 20)
    drawn = flux + error * rng.standard_normal((4000, WAVE.size))
    spread = np.std(measured(drawn, error, n_draws=2).value, ddof=1)
    assert measured(flux, error, n_draws=4000).error[0] == pytest.approx(spread, rel=0.08)


def test_too_few_draws():
    with pytest.raises(ConfigError, match="n_draws is 1"):
        measured(np.ones(WAVE.size), n_draws=1)


def manga_spectra():
    """Give wavelength, flux, error, redshift, LSF of the eleven real spectra."""
    for name in ("MaNGA_test_spectra", "MaNGA_multicomp_test_spectra"):
        with fits.open(real_data("manga_spectra") / f"{name}.fits.gz") as hdus:
            wave = hdus["WAVE"].data.astype(float)
            for i, redshift in enumerate(hdus["Z"].data):
                flux, ivar, mask, sres = (
                    hdus[key].data[i].astype(float) for key in ("FLUX", "IVAR", "MASK", "SRES")
                )
                good = (ivar > 0) & (mask == 0)
                error = np.full(wave.size, np.nan)
                error[good] = ivar[good] ** -0.5
                lsf = np.divide(wave, sres, out=np.full(wave.size, np.nan), where=sres > 500)
                yield wave, flux, error, float(redshift), lsf


@pytest.mark.data
def test_real_old_spectra():
    # The first five are the old ones. Of the others one is masked, one has an S/N of 1.6 a
    # wavelength, and four are younger than these five.
    spectra = [(f, e, w, z) for w, f, e, z, _ in manga_spectra()]
    found = [measured(f, e, wave=w, redshift=z) for f, e, w, z in spectra]
    value, error = np.array([(each.value[0], each.error[0]) for each in found]).T
    assert value.size == 11
    assert np.all((value[:5] > 1.8) & (value[:5] < 2.05))
    assert np.all(error[:5] < 0.02)
    assert np.isnan(value[5])
    assert error[6] > 0.3
    assert np.all(value[7:] < value[:5].min())
