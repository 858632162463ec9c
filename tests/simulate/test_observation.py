from dataclasses import replace

import numpy as np
import pytest
from astropy.units import Unit
from astropy.wcs import WCS
from scipy.ndimage import map_coordinates

from pxdask.core.constants import FWHM_PER_SIGMA
from pxdask.core.errors import DataError
from pxdask.core.random import stream
from pxdask.simulate import NEARBY, SURVEYS, observe, truth_maps
from pxdask.simulate.surveys import sky_sigma, ujy_per_unit
from tests.simulate.engines import ToyEngine


def every(truth, *, noise, size=210.0, seed=1):
    """Return (survey, band, observation) of all nearby bands."""
    return [
        (SURVEYS[name], band, seen)
        for name in NEARBY
        for band, seen in zip(
            SURVEYS[name].bands,
            observe(truth, SURVEYS[name], rng=stream(seed, name), noise=noise, size=size),
            strict=True,
        )
    ]


@pytest.fixture(scope="module")
def clean(truth):
    return every(truth, noise=False)


@pytest.fixture(scope="module")
def noisy(truth):
    return every(truth, noise=True)


@pytest.fixture(scope="module")
def star(truth):
    """A point source in place of the galaxy."""
    flux = np.zeros(truth["flux"].shape, dtype=np.float32)
    flux[:, flux.shape[1] // 2, flux.shape[2] // 2] = 1e5
    return truth.assign(flux=(("band", "y", "x"), flux, truth["flux"].attrs))


def sigma_of(seen):
    """Return an observation's 1-sigma noise in its own unit."""
    powers = {"sigma": 1.0, "variance": 0.5, "weight": -0.5}
    return seen.uncertainty.astype(np.float64) ** powers[seen.kind]


def test_flux_is_conserved(clean, truth):
    for survey, band, seen in clean:
        total = seen.image.sum(dtype=np.float64) * ujy_per_unit(
            band, pixel_scale=survey.pixel_scale
        )
        wanted = truth["flux"].sel(band=band.name).sum(dtype=np.float64).item()
        # images of 210" hold all but 1e-4 of a disc of 15"
        assert total == pytest.approx(wanted, rel=1e-3), band.name


def test_star_is_at_the_galaxy_and_as_wide_as_the_psf(star, galaxy):
    for survey, band, seen in every(star, noise=False, size=60.0):
        image = seen.image.astype(np.float64)
        y, x = np.indices(image.shape)
        x0, y0 = (np.sum(image * axis) / image.sum() for axis in (x, y))
        wanted = WCS(seen.header).world_to_pixel_values(galaxy.ra, galaxy.dec)
        assert (x0, y0) == pytest.approx(tuple(map(float, wanted)), abs=0.02), band.name
        variance = np.sum(image * ((x - x0) ** 2 + (y - y0) ** 2)) / image.sum() / 2
        fwhm = np.sqrt(variance) * survey.pixel_scale * FWHM_PER_SIGMA
        # 1 %: the spline's error at two fine pixels to the FWHM
        assert fwhm == pytest.approx(seen.psf_fwhm, rel=0.01), band.name


def test_brightest_point_is_at_ra_dec(clean, galaxy):
    for _, band, seen in clean:
        x, y = (float(v) for v in WCS(seen.header).world_to_pixel_values(galaxy.ra, galaxy.dec))
        offsets = np.linspace(-1.5, 1.5, 61)
        rows, columns = np.meshgrid(y + offsets, x + offsets, indexing="ij")
        fine = map_coordinates(seen.image.astype(np.float64), [rows, columns], order=3)
        j, i = np.unravel_index(np.argmax(fine), fine.shape)
        # arms pull the young bands' peaks; a tenth of a pixel and half a step of the search
        assert np.hypot(offsets[i], offsets[j]) < 0.125, band.name


@pytest.mark.statistical
def test_noise_is_what_the_uncertainty_says(noisy, clean):
    for (_, band, seen), (_, _, expected) in zip(noisy, clean, strict=True):
        pulls = (seen.image - expected.image) / sigma_of(seen)
        # at least 19600 pixels: the width is known to 0.5 %; Poisson's skew leaves it alone
        assert np.std(pulls) == pytest.approx(1.0, abs=0.025), band.name
        assert abs(np.mean(pulls)) < 4 / np.sqrt(pulls.size), band.name


@pytest.mark.statistical
def test_empty_sky_has_the_surveys_depth(noisy):
    for survey, band, seen in noisy:
        corner = seen.image[: seen.image.shape[0] // 8, : seen.image.shape[1] // 8]
        sky = sky_sigma(band, survey) / ujy_per_unit(band, pixel_scale=survey.pixel_scale)
        # from 289 pixels on: 4 % a sigma
        assert np.std(corner) / sky == pytest.approx(1.0, abs=0.14), band.name
        assert abs(np.mean(corner)) < 0.4 * sky, band.name


def test_same_generator_same_bytes(truth):
    survey = SURVEYS["galex"]
    one, two, other = (list(observe(truth, survey, rng=stream(seed, "x"))) for seed in (1, 1, 2))
    for first, second in zip(one, two, strict=True):
        assert first.image.tobytes() == second.image.tobytes()
        assert first.uncertainty.tobytes() == second.uncertainty.tobytes()
        assert first.header == second.header
    assert one[0].image.tobytes() != other[0].image.tobytes()
    assert one[0].header["CRPIX1"] != other[0].header["CRPIX1"]


def test_kinds_of_uncertainty_differ_among_surveys(clean):
    kinds = {seen.kind for _, _, seen in clean}
    assert kinds == {"sigma", "variance", "weight"}


def test_units_of_the_uncertainty(clean):
    powers = {"sigma": 1, "variance": 2, "weight": -2}
    for _, band, seen in clean:
        unit = Unit(seen.header["BUNIT"])
        assert Unit(seen.uncertainty_header["BUNIT"]) == unit ** powers[seen.kind], band.name


def test_headers_describe_the_image(clean, galaxy):
    for survey, band, seen in clean:
        assert seen.image.dtype == seen.uncertainty.dtype == np.float32
        assert seen.header["FILTER"] == band.label
        assert seen.header["TELESCOP"] == survey.telescope
        assert seen.header["OBJECT"] == galaxy.id
        assert seen.header["EXPTIME"] > 0
        wcs = WCS(seen.header)
        scale = 3600 * np.sqrt(abs(np.linalg.det(wcs.pixel_scale_matrix)))
        assert scale == pytest.approx(survey.pixel_scale, rel=1e-9)
        # y points `rotation` from north through east, and x to the right of that
        (cos_x, up_x), (sin_y, cos_y) = wcs.pixel_scale_matrix * 3600 / survey.pixel_scale
        angle = np.deg2rad(survey.rotation)
        assert (up_x, cos_y) == pytest.approx((np.sin(angle), np.cos(angle)), abs=1e-9)
        assert (cos_x, sin_y) == pytest.approx((-np.cos(angle), np.sin(angle)), abs=1e-9)


def test_sky_noise_alone_without_a_gain(truth):
    survey = SURVEYS["sdss"].select("sdss_r")
    survey = replace(survey, bands=tuple(replace(b, gain=None) for b in survey.bands))
    (seen,) = observe(truth, survey, rng=stream(1, "x"), size=60.0)
    assert np.ptp(sigma_of(seen)) < 1e-6 * sigma_of(seen).max()


def test_brighter_pixels_are_noisier(clean):
    for _, band, seen in clean:
        sigma = sigma_of(seen)
        brightest = np.unravel_index(np.argmax(seen.image), seen.image.shape)
        assert sigma[brightest] == pytest.approx(sigma.max()), band.name


@pytest.mark.parametrize("name", ["jwst-nircam", "hst-acs"])
def test_space_telescopes_see_a_small_distant_galaxy(galaxy, name):
    survey = SURVEYS[name].select("jwst_f444w", "acs_f814w")
    distant = replace(galaxy, redshift=1.0, r_eff=0.3, bulge_r_eff=0.1, log_mass=9.0)
    bands = [band.name for band in survey.bands]
    made = truth_maps(distant, engine=ToyEngine(1), bands=bands, pixel_scale=0.02)
    (seen,) = observe(made, survey, rng=stream(1, name), size=4.0, noise=False)
    scale = ujy_per_unit(survey.bands[0], pixel_scale=survey.pixel_scale)
    total = seen.image.sum(dtype=np.float64) * scale
    assert total == pytest.approx(made["flux"].sum(dtype=np.float64).item(), rel=2e-3)


def test_truth_too_coarse_for_a_survey_is_refused(truth):
    bands = truth.assign_coords(band=[f"acs_{i}" for i in range(truth.sizes["band"])])
    survey = SURVEYS["hst-acs"]
    survey = replace(survey, bands=(replace(survey.bands[0], name="acs_0"),))
    with pytest.raises(DataError, match="needs truth sampled to"):
        list(observe(bands, survey, rng=stream(1, "x"), size=3.0))
