from dataclasses import replace

import numpy as np
import pytest

from pxdask.core.errors import ConfigError, DataError
from pxdask.core.flags import Flag
from pxdask.core.ifs import MatchConfig
from pxdask.core.schema import CUBE
from pxdask.ifs.spectral import corrected, match_spectra
from pxdask.ifs.synthetic import band_fluxes
from pxdask.kernels.emission_lines import near_lines
from pxdask.sps.observed import observed_spectra
from tests.ifs.matching import (
    GRI,
    MASS,
    WAVE,
    Z,
    images_of,
    library,
    mock,
    smooth_mismatch,
    spectra_of,
)

SETTINGS = MatchConfig()


def factors(result):
    rows, columns = np.indices(result.order.shape).reshape(2, -1)
    return result.factor(WAVE, rows, columns).reshape(-1, *result.order.shape)


def of_library(side=3):
    """Return photometry and spectra of models of the library itself, and the spectra's truth."""
    models = library()
    drawn = models.draw()
    chosen = np.arange(side**2) * 101
    bands = MASS * drawn["flux"].values[chosen].T.reshape(-1, side, side).astype(float)
    names = [str(name) for name, value in drawn.data_vars.items() if value.dims == ("model",)]
    flux = MASS * observed_spectra(
        models, {name: drawn[name].values[chosen] for name in names},
        wave=WAVE, lsf_fwhm=np.full(WAVE.size, 25.0),
    ).T.reshape(-1, side, side).astype(float)  # fmt: skip
    return images_of(bands, 0.02 * bands), flux, chosen.reshape(side, side)


def test_models_of_the_library_are_found_and_their_mismatch_inverted():
    images, flux, chosen = of_library()
    mismatch = 1 / smooth_mismatch(3)  # so that the factor is a cubic
    spectra = spectra_of(flux * mismatch, 0.1 * flux)
    result = match_spectra(images, spectra, library(), settings=MatchConfig(n_best=1))
    np.testing.assert_array_equal(result.model, chosen)
    np.testing.assert_allclose(result.scale, MASS, rtol=1e-6)
    assert np.all(result.order == 3)
    # single precision of fluxes and coefficients
    np.testing.assert_allclose(factors(result) * mismatch, 1.0, atol=2e-5)
    out = corrected(spectra, result)
    np.testing.assert_allclose(out["flux"].values, flux, rtol=2e-5)
    # errors are of the same scale, so S/N is what it was
    np.testing.assert_allclose(
        out["flux"].values / out["flux_err"].values,
        spectra["flux"].values / spectra["flux_err"].values, rtol=1e-5,
    )  # fmt: skip


def test_mismatch_of_a_noisy_galaxy_is_recovered_and_bands_agree():
    galaxy = mock()
    assert 0.19 < np.abs(galaxy.mismatch - 1).max() <= 0.2
    result = match_spectra(galaxy.images, galaxy.spectra, library(), settings=SETTINGS)
    error = factors(result) * galaxy.mismatch - 1
    # what the issue asks; it is 1.5 %, most of it by the photometry's noise of 2 % a band
    assert np.sqrt(np.mean(error**2)) < 0.03
    assert abs(np.mean(error)) < 0.01
    synthetic = band_fluxes(corrected(galaxy.spectra, result), GRI)
    before = band_fluxes(galaxy.spectra, GRI)
    seen = galaxy.images["flux"].sel(band=["g", "r", "i"]).values
    ratio = synthetic.flux / seen
    assert np.all(np.abs(np.median(ratio, axis=(1, 2)) - 1) < 0.02)
    assert np.all(np.std(ratio, axis=(1, 2)) < 0.05)
    # and they did not before
    assert np.max(np.abs(before.flux / seen - 1)) > 0.1


def test_more_models_than_the_best_bring_the_factor_nearer():
    galaxy = mock(noise=False)
    off = [
        factors(match_spectra(galaxy.images, galaxy.spectra, library(), settings=each))
        * galaxy.mismatch
        - 1
        for each in (MatchConfig(n_best=1), MatchConfig(n_best=8))
    ]
    # 0.25 % against 0.31 % for populations between those of the library
    assert np.std(off[1]) < 0.9 * np.std(off[0])


def test_order_zero_changes_the_level_alone():
    galaxy = mock()
    result = match_spectra(galaxy.images, galaxy.spectra, library(), settings=MatchConfig(order=0))
    assert result.polynomial.shape == (1, 12, 12)
    assert np.ptp(factors(result), axis=0).max() == 0


def test_light_at_emission_lines_and_of_flagged_wavelengths_does_not_count():
    galaxy = mock()
    at_line = near_lines(WAVE / (1 + Z), half_width=10.0)
    flagged = np.zeros(WAVE.size, bool)
    flagged[100:120] = True
    flags = np.zeros(galaxy.flux.shape, np.uint16)
    flags[flagged] = Flag.MASKED
    flux, error = (galaxy.spectra[name].values for name in ("flux", "flux_err"))
    spoilt = flux.copy()
    spoilt[at_line | flagged] *= 30
    plain, with_lines = (
        match_spectra(
            galaxy.images, spectra_of(each, error, flags=flags), library(), settings=SETTINGS
        ).polynomial
        for each in (flux, spoilt)
    )
    assert np.count_nonzero(at_line) > 20
    np.testing.assert_array_equal(plain, with_lines)
    # lines do count where less than a bin of the spectrum is left out about them
    other = match_spectra(
        galaxy.images, spectra_of(spoilt, error, flags=flags), library(),
        settings=MatchConfig(line_half_width=1e-3),
    )  # fmt: skip
    assert not np.array_equal(other.polynomial, plain)


def test_pixels_without_photometry_or_spectrum_keep_their_flux_and_a_flag():
    galaxy = mock()
    images, spectra = galaxy.images.copy(deep=True), galaxy.spectra.copy(deep=True)
    images["flux"].values[:, 0, 0] = np.nan
    images["flags"].values[2:, 0, 1] = Flag.MASKED  # two bands are left
    images["flux_err"].values[:, 0, 2] *= 1e3  # S/N 0.1
    images["flux"].values[:, 0, 3] *= -1
    spectra["flux"].values[:, 0, 4] = np.nan
    spectra["flux_err"].values[:, 0, 5] = -1.0
    spectra["region"].values[1, :] = False
    result = match_spectra(images, spectra, library(), settings=SETTINGS)
    assert np.all(result.order[0, :6] == -1)
    assert np.all(result.order[1] == -1)
    assert np.all(result.order[0, 6:] == 3)
    out = corrected(spectra, result)
    np.testing.assert_array_equal(out["flux"].values[:, :2, :][:, 0, :6],
                                  spectra["flux"].values[:, 0, :6])  # fmt: skip
    flagged = out["flags"].values & int(Flag.NOT_FITTED) > 0
    assert np.all(flagged[:, 0, :6])
    assert not np.any(flagged[:, 0, 6:])
    assert not np.any(flagged[:, 1])  # beyond the region there is nothing to be told
    np.testing.assert_array_equal(out["polynomial"].values[:, 0, 0], [1, 0, 0, 0])
    assert np.isnan(out["match_chi2"].values[0, 0])
    # the others do not notice
    whole = match_spectra(galaxy.images, galaxy.spectra, library(), settings=SETTINGS)
    np.testing.assert_allclose(result.polynomial[:, 2:], whole.polynomial[:, 2:], rtol=1e-5,
                               atol=1e-6)  # fmt: skip


def test_spectra_in_a_few_wavelengths_get_lower_orders():
    galaxy = mock()
    spectra = galaxy.spectra.copy(deep=True)
    away = np.flatnonzero(~near_lines(WAVE / (1 + Z), half_width=10.0))
    flux = spectra["flux"].values
    for pixel, n_left in enumerate((32, 31, 16, 8, 7)):
        left = away[:: away.size // n_left][:n_left]
        flux[np.setdiff1d(np.arange(WAVE.size), left), 0, pixel] = np.nan
    result = match_spectra(galaxy.images, spectra, library(), settings=SETTINGS)
    np.testing.assert_array_equal(result.order[0, :5], [3, 2, 1, 0, -1])


def test_a_spectrum_in_another_unit_is_brought_back():
    galaxy = mock()
    scaled = spectra_of(
        1e-6 * galaxy.spectra["flux"].values, 1e-6 * galaxy.spectra["flux_err"].values
    )
    results = [
        match_spectra(galaxy.images, each, library(), settings=SETTINGS)
        for each in (galaxy.spectra, scaled)
    ]
    np.testing.assert_allclose(
        1e-6 * results[1].polynomial, results[0].polynomial, rtol=1e-3, atol=1e-5
    )


def test_the_factor_is_constant_beyond_its_ends():
    galaxy = mock()
    result = match_spectra(galaxy.images, galaxy.spectra, library(), settings=SETTINGS)
    first, last = result.ends
    one = np.array([0])
    values = result.factor(np.array([100.0, first, last, 3e4]), one, one)[:, 0]
    assert values[0] == values[1]
    assert values[2] == values[3]


def test_output_is_a_cube_with_the_factors_kept():
    galaxy = mock()
    result = match_spectra(galaxy.images, galaxy.spectra, library(), settings=SETTINGS)
    out = CUBE.validate(corrected(galaxy.spectra, result))
    assert out.attrs["polynomial_ends"] == list(result.ends)
    basis = np.polynomial.legendre.legvander(
        np.clip(2 * (WAVE - result.ends[0]) / (result.ends[1] - result.ends[0]) - 1, -1, 1), 3
    )
    factor = np.einsum("wk,kyx->wyx", basis, out["polynomial"].values)
    np.testing.assert_allclose(
        factor * galaxy.spectra["flux"].values, out["flux"].values, rtol=1e-5
    )


def test_other_grids_and_bands_are_refused():
    galaxy = mock()
    with pytest.raises(DataError, match=r"grid of \(11, 12\).*\(12, 12\)"):
        match_spectra(
            galaxy.images.isel(y=slice(1, None)), galaxy.spectra, library(), settings=SETTINGS
        )
    with pytest.raises(ConfigError, match=r"the images \['g'"):
        match_spectra(
            galaxy.images.isel(band=slice(1, None)), galaxy.spectra, library(), settings=SETTINGS
        )
    nowhere = replace(library(), redshift=None)
    with pytest.raises(DataError, match="redshift"):
        match_spectra(galaxy.images, galaxy.spectra, nowhere, settings=SETTINGS)
