import numpy as np
import pytest

from pxdask.images.noise import unprocessed
from pxdask.images.resample import to_grid, whole_offset
from tests.images.skies import grid, stars

METHODS = ["exact", "adaptive"]


def clean(image, sigma=1.0):
    return unprocessed(np.array(image), np.full(image.shape, sigma))


def test_whole_offsets():
    target = grid(0.2, 20, x=10, y=10)
    assert whole_offset(grid(0.2, 60, x=17, y=33), target) == (23, 7)
    assert whole_offset(grid(0.2, 60, x=17.0005, y=33), target) == (23, 7)
    assert whole_offset(grid(0.2, 60, x=17.01, y=33), target) is None
    assert whole_offset(grid(0.2002, 60, x=17, y=33), target) is None
    assert whole_offset(grid(0.2, 60, x=17, y=33, angle=0.01), target) is None
    assert whole_offset(grid(0.2, 60, x=17, y=33, flip=True), target) is None


@pytest.mark.parametrize("method", METHODS)
def test_equal_grids_are_copied(method):
    rng = np.random.default_rng(3)
    source, target = grid(0.2, 30, x=8, y=12), grid(0.2, 20, x=10, y=10)
    image = unprocessed(rng.normal(size=(30, 30)), rng.uniform(1, 2, (30, 30)))
    out = to_grid(image, source, target, method=method, kernel=None)
    np.testing.assert_array_equal(out.flux[:, 2:], image.flux[2:22, :18])
    np.testing.assert_array_equal(out.variance[:, 2:], image.variance[2:22, :18])
    assert np.all(np.isnan(out.flux[:, :2]))
    assert np.all(out.coverage[:, :2] == 0)
    apart = to_grid(image, source, grid(0.2, 5, x=100, y=0), method=method, kernel=None)
    assert np.all(np.isnan(apart.flux))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("angle", [0.0, 0.9, 2.5])
@pytest.mark.parametrize("scale", [0.25, 0.6, 1.7])
def test_flux_and_place_are_kept(method, flip, angle, scale):
    field = {
        "fwhm": 2.5,
        "positions": [(0.0, 0.0), (9.0, -4.0), (-6.0, 11.0)],
        "fluxes": [10.0, 3.0, 5.0],
    }
    source = grid(0.4, 180, angle=angle, flip=flip)
    target = grid(scale, int(50 / scale))
    image = stars(source, **field)
    out = to_grid(clean(image), source, target, method=method, kernel=None)
    # the whole field is inside; the Hann window samples coarse pixels to some 1e-3
    assert np.nansum(out.flux) == pytest.approx(18.0, rel=0.005)
    expected = stars(target, **field)
    peak = np.unravel_index(np.nanargmax(out.flux), target.shape)
    assert np.hypot(*np.subtract(peak, np.unravel_index(expected.argmax(), target.shape))) < 1.5
    y, x = np.mgrid[: target.shape[0], : target.shape[1]]
    for axis in (x, y):
        moved = np.nansum(out.flux * axis) / 18 - np.sum(expected * axis) / np.sum(expected)
        assert abs(moved) < 0.05  # pixels


@pytest.mark.parametrize("method", METHODS)
def test_brightness_is_kept_around_holes(method):
    source, target = grid(0.4, 150, angle=0.4), grid(1.0, 30)
    flux = np.full((150, 150), 0.16)  # 1 uJy per arcsec2
    rng = np.random.default_rng(4)
    flux[rng.random(flux.shape) < 0.05] = np.nan
    flux[70:80, 70:80] = np.nan  # 4 arcsec: four target pixels
    out = to_grid(clean(flux), source, target, method=method, kernel=None)
    np.testing.assert_allclose(out.flux[np.isfinite(out.flux)], 1.0, rtol=1e-6)
    assert 4 <= np.isnan(out.flux).sum() <= 30
    assert np.isnan(out.flux[15, 15])
    assert np.all((out.coverage < 1.0) | np.isfinite(out.flux))


@pytest.mark.parametrize("method", METHODS)
def test_pixels_beyond_the_image_are_missing(method):
    source, target = grid(0.4, 50), grid(1.0, 40, angle=0.3)
    out = to_grid(clean(np.full((50, 50), 0.16)), source, target, method=method, kernel=None)
    inside = np.isfinite(out.flux)
    # 400 target pixels fit on the image; half-covered ones count
    assert inside.sum() == pytest.approx(400, abs=30)
    np.testing.assert_allclose(out.flux[inside], 1.0, rtol=1e-6)
    assert np.all(np.isnan(out.variance[~inside]))
    whole = out.coverage > 0.999
    assert whole.sum() == pytest.approx(320, abs=40)


@pytest.mark.parametrize("method", METHODS)
def test_galaxies_on_distorted_images_keep_their_flux(method):
    wcs = grid(0.4, 150).to_wcs()
    header = wcs.to_header()
    header["CTYPE1"], header["CTYPE2"] = "RA---TAN-SIP", "DEC--TAN-SIP"
    header["A_ORDER"], header["B_ORDER"] = 2, 2
    header["A_2_0"], header["B_0_2"], header["A_1_1"] = 2e-4, -1e-4, 1e-4
    cards = header.tostring(sep="", endcard=False, padding=False)
    source = type(grid(1, 2))(cards, (150, 150))
    y, x = np.mgrid[:150, :150]
    # pixel areas differ by several per cent over the image: fill each by its own area
    inner = 1 + 2 * 2e-4 * (x - 74.5) + 1e-4 * (y - 74.5)
    other = 1 - 2 * 1e-4 * (y - 74.5)
    area = np.abs(inner * other) * 0.16
    assert np.ptp(area) / 0.16 > 0.05
    out = to_grid(clean(area), source, grid(1.0, 40), method=method, kernel=None)
    # the cross term of the Jacobian that `area` leaves out is below 1e-3
    np.testing.assert_allclose(out.flux, 1.0, atol=2e-3)
