"""Empirical PSFs, on synthetic fields of stars whose PSF is known."""

import numpy as np
import pytest

from pxdask.core.errors import DataError
from pxdask.images.epsf import StarList, empirical_psf, find_stars
from pxdask.images.kernel_check import radial_profile
from pxdask.images.psf import image_fwhm

SIZE, SCALE = 25, 0.2
N = 400


def stamp(x, y, fwhm, beta=3.0, fine=8, half=20):
    """A Moffat star, integrated over pixels at its true position."""
    column, row = round(x), round(y)
    steps = (np.arange((2 * half + 1) * fine) + 0.5) / fine - half - 0.5
    dx, dy = steps + column - x, steps + row - y
    core = fwhm / (2 * np.sqrt(2 ** (1 / beta) - 1))
    image = (1 + (dx**2 + dy[:, None] ** 2) / core**2) ** -beta
    image = image.reshape(2 * half + 1, fine, 2 * half + 1, fine).mean(axis=(1, 3))
    whole = np.pi * core**2 / (beta - 1)
    return column, row, image / whole


def field(rng, *, fwhm=3.2, n_star=40, noise=1.0, galaxies=12):
    """Stars on a jittered grid, 0.3 to 10 x 10^4 in flux; wide round galaxies among them."""
    cells = rng.permutation([(i, j) for i in range(9) for j in range(9)])[: n_star + galaxies]
    sky = rng.normal(20.0, noise, (N, N))
    positions = []
    for k, (i, j) in enumerate(cells):
        x, y = 44 * j + 24 + rng.uniform(-3, 3), 44 * i + 24 + rng.uniform(-3, 3)
        flux = 10 ** rng.uniform(3.5, 5)
        is_star = k < n_star
        column, row, image = stamp(x, y, fwhm if is_star else fwhm * rng.uniform(1.5, 2.5))
        sky[row - 20 : row + 21, column - 20 : column + 21] += flux * image
        if is_star:
            positions.append((x, y, flux))
    x, y, flux = np.array(positions).T
    return sky, StarList(x, y, flux)


@pytest.fixture(scope="module")
def scene():
    return field(np.random.default_rng(5))


def distance(found, truth):
    return np.min(np.hypot(found.x[:, None] - truth.x, found.y[:, None] - truth.y), axis=1)


def test_stars_are_found_and_galaxies_are_not(scene):
    image, truth = scene
    found = find_stars(image, size=SIZE)
    # all stars have a signal-to-noise ratio above 150; the galaxies are wider by half or more
    assert len(found.x) >= 0.9 * len(truth.x)
    assert np.all(distance(found, truth) < 0.2)
    assert np.all(np.diff(found.flux) <= 0)


def test_the_psf_is_that_of_the_stars(scene):
    image, _ = scene
    stars = find_stars(image, size=SIZE)
    made = empirical_psf(image, stars, pixel_scale=SCALE, size=SIZE)
    truth = stamp(20.0, 20.0, 3.2)[2][8:33, 8:33]
    psf = made.psf.on_pixels(SCALE)
    assert psf.shape == (SIZE, SIZE)
    assert psf.sum() == pytest.approx(1.0)
    residual = radial_profile(psf) - radial_profile(truth / truth.sum())
    # the wings' part beyond the border, 0.5 % of the flux, is taken for sky; 1 % for the noise
    # and the smoothing of the grid
    assert np.max(np.abs(residual)) < 0.015 * truth.max()
    assert made.psf.width == pytest.approx(image_fwhm(truth) * SCALE, rel=0.02)
    y, x = np.mgrid[:SIZE, :SIZE] - SIZE // 2
    assert abs(np.sum(psf * x)) < 0.1
    assert abs(np.sum(psf * y)) < 0.1
    assert made.scatter < 0.05


def test_saturated_stars_are_left_out(scene):
    image, truth = scene
    limit = np.quantile(image, 0.9995)
    clipped = np.minimum(image, limit)
    peaks = np.array([image[round(y), round(x)] for x, y in zip(truth.x, truth.y, strict=True)])
    bright = StarList(*(v[peaks > 1.5 * limit] for v in (truth.x, truth.y, truth.flux)))
    assert bright.x.size >= 5
    for found in (find_stars(clipped, size=SIZE, saturation=limit), find_stars(clipped, size=SIZE)):
        assert found.x.size >= 5
        assert np.all(distance(found, bright) > 5)


def test_stars_with_neighbours_or_missing_pixels_are_left_out(scene):
    image, truth = scene
    image = image.copy()
    first, second = (int(i) for i in np.argsort(-truth.flux)[:2])
    column, row, faint = stamp(truth.x[first] + 9.0, truth.y[first], 3.2, half=8)
    image[row - 8 : row + 9, column - 8 : column + 9] += 0.1 * truth.flux[first] * faint
    image[round(truth.y[second]) + 6, round(truth.x[second])] = np.nan
    found = find_stars(image, size=SIZE)
    for k in (first, second):
        lost = StarList(truth.x[[k]], truth.y[[k]], truth.flux[[k]])
        assert np.all(distance(found, lost) > 3)


def test_a_list_of_stars_will_do(scene):
    image, truth = scene
    rough = StarList(truth.x + 0.3, truth.y - 0.2, np.full(truth.x.size, np.nan))
    made = empirical_psf(image, rough, pixel_scale=SCALE, size=SIZE, oversampling=2)
    assert made.stars.x.size > 30
    assert made.psf.width == pytest.approx(image_fwhm(stamp(20.0, 20.0, 3.2)[2]) * SCALE, rel=0.03)


def test_too_few_stars_are_an_error(scene):
    image, _ = scene
    two = StarList(np.array([50.0, 100.0]), np.array([50.0, 100.0]), np.ones(2))
    with pytest.raises(DataError, match="at least 3"):
        empirical_psf(image, two, pixel_scale=SCALE, size=SIZE)
    with pytest.raises(DataError, match="odd"):
        empirical_psf(image, two, pixel_scale=SCALE, size=24)
    with pytest.raises(DataError, match="finite"):
        find_stars(np.full((50, 50), np.nan), size=SIZE)
    assert find_stars(np.zeros((100, 100)), size=SIZE).x.size == 0
