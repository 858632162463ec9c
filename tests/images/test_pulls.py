"""Twelve bands FUV to W2 as their surveys deliver them: flux kept, errors true to the scatter."""

from dataclasses import dataclass

import numpy as np
import pytest

from pxdask.core.random import stream
from pxdask.images.grid import Grid, gnomonic_grid
from pxdask.images.noise import aperture_variance, convolve, unprocessed
from pxdask.images.psf import Psf, matching_kernel
from pxdask.images.resample import to_grid
from pxdask.images.units import to_sigma
from pxdask.simulate import NEARBY, SURVEYS, MockGalaxy, observe, truth_maps
from pxdask.simulate.surveys import ujy_per_unit
from tests.simulate.engines import ToyEngine

BANDS = [(name, band.name) for name in NEARBY for band in SURVEYS[name].bands]
TARGET = Psf(fwhm=6.37)  # W2
SIDE = 10  # pixels of an aperture
N_SKY = 12
ROW = {
    "id": "pulls",
    "ra": 150.1,
    "dec": 2.2,
    "redshift": 0.02,
    "log_mass": 10.0,
    "r_eff": 5.0,
    "bulge_fraction": 0.1,
    "axis_ratio": 0.7,
    "position_angle": 30.0,
}


@dataclass
class Processed:
    clean: np.ndarray
    noisy: np.ndarray
    variance: np.ndarray
    noise_area: float


@pytest.fixture(scope="module")
def truth():
    names = [band for _, band in BANDS]
    return truth_maps(MockGalaxy.from_row(ROW), engine=ToyEngine(len(names)), bands=names)


def processed(truth, survey_name, band_name, *, seed, pixel_scale=1.5, method="exact"):
    """One pointing, with and without noise, on the common grid with the target's PSF [uJy]."""
    survey = SURVEYS[survey_name].select(band_name)
    (band,) = survey.bands
    planes = []
    for noise in (False, True):
        rng = stream(seed, "pulls", band_name)  # equal: the same pointing
        (seen,) = observe(truth, survey, rng=rng, noise=noise, size=160.0)
        planes.append(seen)
    scale = ujy_per_unit(band, pixel_scale=survey.pixel_scale)
    sigma = to_sigma(planes[0].uncertainty, kind=planes[0].kind, scale=1.0) * scale
    source = Grid(header_cards(planes[0].header), sigma.shape)
    target = gnomonic_grid(ra=ROW["ra"], dec=ROW["dec"], pixel_scale=pixel_scale, size=135.0)
    kernel = matching_kernel(
        Psf(fwhm=band.psf_fwhm), TARGET, pixel_scale=survey.pixel_scale, band=band.name
    )
    made = []
    for seen in planes:
        image = unprocessed(seen.image.astype(float) * scale, sigma)
        if kernel is not None:
            image = convolve(image, kernel)
        made.append(to_grid(image, source, target, method=method, kernel=kernel))
    return Processed(made[0].flux, made[1].flux, made[1].variance, made[1].noise_area)


def header_cards(header):
    from astropy.wcs import WCS

    from pxdask.images.grid import wcs_cards

    return wcs_cards(WCS(dict(header)))


def in_blocks(plane):
    """Pixels of each aperture, (n, n, SIDE^2)."""
    n = plane.shape[0] // SIDE
    cut = plane[: n * SIDE, : n * SIDE].reshape(n, SIDE, n, SIDE)
    return cut.transpose(0, 2, 1, 3).reshape(n, n, SIDE**2)


def sky_pulls(truth, survey, band, **options):
    """Pulls of single pixels and of apertures of empty sky."""
    pixels, apertures = [], []
    for seed in range(N_SKY):
        made = processed(truth, survey, band, seed=seed, **options)
        pull = (made.noisy - made.clean) / np.sqrt(made.variance)
        empty = made.clean < 0.3 * np.sqrt(made.variance)
        pixels.append(pull[empty])
        sums = in_blocks(made.noisy - made.clean).sum(axis=-1)
        expected = np.sqrt(aperture_variance(in_blocks(made.variance), noise_area=made.noise_area))
        whole = np.mean(in_blocks(empty), axis=-1) > 0.95
        apertures.append((sums / expected)[whole])
    return np.concatenate(pixels), np.concatenate(apertures)


@pytest.mark.parametrize(("survey", "band"), BANDS)
def test_total_flux_is_kept(truth, survey, band):
    made = processed(truth, survey, band, seed=1)
    total = truth["flux"].sel(band=band).sum(dtype=np.float64).item()
    # goal: 0.5 %. The stamp, 27 effective radii wide, holds all but 1e-5; the mock's own images
    # are resampled to some 1e-4
    assert np.sum(made.clean) == pytest.approx(total, rel=0.005)


@pytest.mark.slow
@pytest.mark.statistical
@pytest.mark.parametrize(("survey", "band"), BANDS)
def test_empty_sky_scatters_as_its_errors_say(truth, survey, band):
    pixels, apertures = sky_pulls(truth, survey, band)
    # some 200 independent pixels (noise area 40) and 70 apertures a sky, 12 skies: means are
    # known to 0.02 and 0.035, widths to 1.5 and 2.5 %
    assert abs(np.mean(pixels)) < 0.1
    assert abs(np.mean(apertures)) < 0.1
    assert 0.9 < np.std(pixels) < 1.1
    assert 0.9 < np.std(apertures) < 1.1
