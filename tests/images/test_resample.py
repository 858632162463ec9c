import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reproject import reproject_exact

from pxdask.images.noise import unprocessed
from pxdask.images.resample import to_grid, whole_offset
from tests.images.skies import grid, stars

METHODS = ["exact", "adaptive", "interpolation"]
MEANS = METHODS[:2]


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
        moved = np.nansum(out.flux * axis) / np.nansum(out.flux) - np.sum(expected * axis) / np.sum(
            expected
        )
        assert abs(moved) < 0.05  # pixels


@pytest.mark.parametrize("method", MEANS)
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


@pytest.mark.parametrize("method", MEANS)
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


def bent(n):
    """A grid whose pixel areas differ by several per cent, by a SIP distortion."""
    header = grid(0.4, n).to_wcs().to_header()
    header["CTYPE1"], header["CTYPE2"] = "RA---TAN-SIP", "DEC--TAN-SIP"
    header["A_ORDER"], header["B_ORDER"] = 2, 2
    header["A_2_0"], header["B_0_2"], header["A_1_1"] = 2e-4, -1e-4, 1e-4
    return type(grid(1, 2))(header.tostring(sep="", endcard=False, padding=False), (n, n))


@pytest.mark.parametrize("scale", [0.25, 0.6, 1.7])
@pytest.mark.parametrize("flip", [False, True])
def test_exact_means_what_reproject_exact_means(flip, scale):
    source, target = grid(0.4, 100, angle=0.7, flip=flip), grid(scale, int(20 / scale))
    flux = np.random.default_rng(8).normal(10, 3, source.shape)
    out = to_grid(clean(flux), source, target, method="exact", kernel=None)
    means, _ = reproject_exact((flux, source.to_wcs()), target.to_wcs(), shape_out=target.shape)
    # pixels have one area on either grid to 1e-8; the reference itself rounds areas on the sphere
    np.testing.assert_allclose(out.flux, means * (scale / 0.4) ** 2, rtol=1e-6)


@settings(max_examples=15, deadline=None)
@given(st.floats(0, 6.28), st.booleans(), st.floats(0.2, 3.0), st.integers(0, 10**6))
def test_no_flux_is_lost(angle, flip, scale, seed):
    source = grid(0.4, 60, angle=angle, flip=flip)
    target = grid(scale, int(36 / scale) + 4)  # larger than the source's diagonal, 34 arcsec
    flux = np.zeros(source.shape)
    # 12 pixels of nothing around, wider than a target pixel: none with flux is partly covered
    flux[12:-12, 12:-12] = np.random.default_rng(seed).normal(1, 3, (36, 36))
    out = to_grid(clean(flux), source, target, method="exact", kernel=None)
    assert np.nansum(out.flux) == pytest.approx(flux.sum(), abs=1e-6)
    assert out.noise_area >= 1


def test_all_flux_arrives_on_distorted_grids_too():
    source, target = bent(150), grid(1.1, 70, angle=0.3)
    flux = np.random.default_rng(9).normal(5, 1, source.shape)
    out = to_grid(clean(flux), source, target, method="exact", kernel=None)
    edge = out.coverage < 1 - 1e-9
    # partly covered pixels are scaled up to whole ones: by their coverage they are what arrived
    arrived = np.where(edge, np.nan_to_num(out.flux) * out.coverage, out.flux)
    lost = np.isnan(out.flux).sum() * 5 * (1.1 / 0.4) ** 2  # under half covered, at the border
    assert abs(np.sum(flux) - np.sum(arrived)) < 0.3 * lost
    inner = to_grid(
        clean(np.pad(flux[20:-20, 20:-20], 20)), source, target, method="exact", kernel=None
    )
    assert np.nansum(inner.flux) == pytest.approx(np.sum(flux[20:-20, 20:-20]), rel=1e-9)


def test_white_noise_is_propagated_exactly():
    # a quarter of the way into the next pixel on both axes: shares 3/4 and 1/4 of two pixels each
    source, target = grid(1.0, 12, x=5, y=5), grid(1.0, 4, x=1.25, y=1.25)
    sigma = np.random.default_rng(2).uniform(1, 3, source.shape)
    out = to_grid(
        unprocessed(np.ones(source.shape), sigma), source, target, method="exact", kernel=None
    )
    weights = np.outer([0.25, 0.75], [0.25, 0.75])
    expected = [
        [np.sum(weights**2 * sigma[j : j + 2, i : i + 2] ** 2) for i in range(3, 7)]
        for j in range(3, 7)
    ]
    np.testing.assert_allclose(out.variance, expected, rtol=1e-4)
    out = to_grid(clean(np.ones(source.shape)), source, target, method="exact", kernel=None)
    assert out.noise_area == pytest.approx(1 / np.sum(weights**2), rel=1e-4)  # 2.56


def test_interpolation_is_linear_and_brightness_explicit():
    source, target = grid(1.0, 20, x=10, y=10), grid(0.5, 9, x=4, y=4)
    flux = np.add.outer(np.arange(20.0), 3 * np.arange(20.0)) + 50  # a plane
    out = to_grid(clean(flux), source, target, method="interpolation", kernel=None)
    steps = 10 + 0.5 * (np.arange(9) - 4)
    np.testing.assert_allclose(out.flux, 0.25 * (np.add.outer(steps, 3 * steps) + 50), rtol=1e-6)
    # centres on a pixel take its variance; those half-way a quarter of four: times area^2 = 1/16
    np.testing.assert_allclose(out.variance[::2, ::2], 1 / 16, rtol=1e-5)
    np.testing.assert_allclose(out.variance[1::2, 1::2], 1 / 64, rtol=1e-5)
    flux[10, 10] = np.nan
    out = to_grid(clean(flux), source, target, method="interpolation", kernel=None)
    assert np.isnan(out.flux[4, 4])
    assert out.coverage[5, 5] == pytest.approx(0.75, abs=1e-6)
