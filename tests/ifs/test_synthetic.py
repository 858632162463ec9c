import numpy as np
import pytest

from pxdask.core.bandpass import Filter
from pxdask.core.constants import C_ANGSTROM_S
from pxdask.core.errors import DataError
from pxdask.ifs.synthetic import band_fluxes
from pxdask.kernels.bandpass import pivot_wave
from tests.ifs.matching import WAVE, library, mock, spectra_of

BOX = Filter("box", np.array([4999.0, 5000.0, 6000.0, 6001.0]), np.array([0.0, 1.0, 1.0, 0.0]))


def flat(value=2.0):
    return np.full((WAVE.size, 1, 2), value)


def test_flux_of_a_flat_spectrum_by_hand():
    found = band_fluxes(spectra_of(flat(), flat(0.1)), [BOX])
    # f_nu = f_lambda pivot^2 / c, in microjansky of 1e-29 erg s-1 cm-2 Hz-1
    wanted = 2e-17 * pivot_wave(BOX) ** 2 / C_ANGSTROM_S / 1e-29
    np.testing.assert_allclose(found.flux, wanted, rtol=1e-6)  # spectra in single precision
    np.testing.assert_allclose(found.coverage, 1.0)
    # some hundred bins of 10 Angstrom of equal error and nearly equal weight; the weights'
    # slope of 18 % across the box adds 0.2 %
    np.testing.assert_allclose(found.flux_err / found.flux, 0.05 / np.sqrt(100), rtol=0.01)


def test_photometry_of_models_is_that_of_their_spectra():
    galaxy = mock(noise=False)
    bands = [band for band in library().filters if band.name in "gri"]
    found = band_fluxes(spectra_of(galaxy.flux, galaxy.flux), bands)
    seen = galaxy.images["flux"].sel(band=["g", "r", "i"]).values
    # bins of 10 Angstrom against the engine's own integral over broadened spectra
    np.testing.assert_allclose(found.flux, seen, rtol=3e-3)


def test_gaps_count_as_the_mean_of_the_rest_or_not_at_all():
    spectra = spectra_of(flat(), flat(0.1))
    inside = np.flatnonzero((WAVE > 5000) & (WAVE < 6000))
    spectra["flux"].values[inside[10:14], 0, 0] = np.nan
    spectra["flux_err"].values[inside[10:30], 0, 1] = 0.0
    found = band_fluxes(spectra, [BOX])
    whole = band_fluxes(spectra_of(flat(), flat(0.1)), [BOX])
    np.testing.assert_allclose(found.flux[0, 0, 0], whole.flux[0, 0, 0], rtol=1e-6)
    assert found.flux_err[0, 0, 0] > whole.flux_err[0, 0, 0]
    assert np.isnan(found.flux[0, 0, 1])
    assert np.isnan(found.flux_err[0, 0, 1])
    # photons: weight goes with wavelength, so the blue 4 and 20 % of the box count for less
    weight = [1 - 0.04 * 5125 / 5500, 1 - 0.20 * 5205 / 5500]
    np.testing.assert_allclose(found.coverage[0, 0], weight, atol=1e-3)
    assert np.isfinite(band_fluxes(spectra, [BOX], min_coverage=0.7).flux).all()


def test_wavelengths_that_are_not_there_are_not_covered():
    kept = (WAVE < 5300) | (WAVE >= 5500)
    spectra = spectra_of(flat()[kept], flat(0.1)[kept], wave=WAVE[kept])
    found = band_fluxes(spectra, [BOX])
    assert np.isnan(found.flux).all()
    # bins of 10 Angstrom: 5295 to 5495 is not seen
    np.testing.assert_allclose(found.coverage, 1 - 0.2 * 5395 / 5500, atol=1e-3)
    enough = band_fluxes(spectra, [BOX], min_coverage=0.8)
    whole = band_fluxes(spectra_of(flat(), flat(0.1)), [BOX])
    np.testing.assert_allclose(enough.flux, whole.flux, rtol=1e-6)


def test_bands_beyond_the_spectrum_have_no_flux():
    beyond = Filter("far", np.array([9500.0, 9600.0, 9700.0]), np.array([0.0, 1.0, 0.0]))
    half = Filter("half", np.array([8500.0, 8510.0, 9500.0]), np.array([0.0, 1.0, 0.0]))
    found = band_fluxes(spectra_of(flat(), flat(0.1)), [beyond, half])
    assert np.isnan(found.flux).all()
    np.testing.assert_array_equal(found.coverage[0], 0.0)
    assert band_fluxes(spectra_of(flat(), flat(0.1)), []).flux.shape == (0, 1, 2)


@pytest.mark.parametrize("wrong", [0.0, 1.1])
def test_coverage_out_of_range_is_refused(wrong):
    with pytest.raises(DataError, match="min_coverage"):
        band_fluxes(spectra_of(flat(), flat(0.1)), [BOX], min_coverage=wrong)
