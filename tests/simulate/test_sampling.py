import numpy as np
import pytest
from astropy.wcs import WCS
from hypothesis import given, settings
from hypothesis import strategies as st
from reproject import reproject_exact

from pxdask.core.constants import FWHM_PER_SIGMA
from pxdask.core.errors import DataError
from pxdask.simulate.sampling import blur, resample


def grid(scale, n, *, angle=0.0, shift=(0.0, 0.0)):
    wcs = WCS(naxis=2)
    cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [150.0, 2.0]
    wcs.wcs.crpix = [(n + 1) / 2 + shift[0], (n + 1) / 2 + shift[1]]
    wcs.wcs.cd = scale / 3600 * np.array([[-cos, sin], [sin, cos]])
    return wcs


def point(n=201):
    light = np.zeros((n, n))
    light[n // 2, n // 2] = 7.0
    return light


@pytest.mark.parametrize("sigma", [0.7, 4.0])
def test_blurred_point_is_the_gaussian(sigma):
    seen = blur(point(), fwhm=sigma * FWHM_PER_SIGMA)
    y, x = np.indices(seen.shape) - 100
    wanted = 7.0 / (2 * np.pi * sigma**2) * np.exp(-(x**2 + y**2) / (2 * sigma**2))
    assert np.max(np.abs(seen - wanted)) < 1e-12  # exact but for rounding


def test_light_does_not_wrap_around():
    light = np.zeros((60, 60))
    light[0, 0] = 1.0
    seen = blur(light, fwhm=8.0)
    assert abs(seen[-1, -1]) < 1e-7  # beyond five sigma
    assert seen.sum() < 0.4  # three quarters of a corner's light fall outside


@settings(max_examples=25, deadline=None)
@given(
    angle=st.floats(-180, 180),
    shift=st.tuples(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5)),
    scale=st.floats(0.4, 1.9),
)
def test_light_is_conserved(angle, shift, scale):
    n = int(80 / scale)
    seen = resample(
        point(),
        source=grid(0.5, 201),
        target=grid(scale, n, angle=angle, shift=shift),
        shape=(n, n),
        psf_fwhm=4.2,
    )
    # 2e-4: the spline's interpolation of a point source of 8 fine pixels' width
    assert seen.sum() == pytest.approx(7.0, rel=2e-4)


@pytest.mark.parametrize(
    ("fwhm", "scale", "angle"), [(1.0, 0.396, 12.0), (4.2, 1.5, 0.0), (6.37, 1.375, 33.0)]
)
def test_width_of_a_point_source(fwhm, scale, angle):
    n = int(60 / scale)
    shape, target = (n, n), grid(scale, n, angle=angle, shift=(0.3, -0.2))
    seen = resample(point(), source=grid(0.5, 201), target=target, shape=shape, psf_fwhm=fwhm)
    y, x = np.indices(shape)
    x0, y0 = (np.sum(seen * axis) / seen.sum() for axis in (x, y))
    variance = np.sum(seen * ((x - x0) ** 2 + (y - y0) ** 2)) / seen.sum() / 2
    # 1 %: the spline's error at two fine pixels to the FWHM
    assert np.sqrt(variance) * scale * FWHM_PER_SIGMA == pytest.approx(fwhm, rel=0.01)


def test_agrees_with_clipping_polygons_where_pixels_hardly_matter():
    y, x = np.indices((201, 201)) - 100
    light = np.exp(-np.hypot(x, y / 0.6) / 15)
    source, target = grid(0.5, 201), grid(1.5, 60, angle=20)
    seen = resample(light, source=source, target=target, shape=(60, 60), psf_fwhm=9.0)
    blurred = blur(light, fwhm=18.0)
    clipped, _ = reproject_exact((blurred, source), target, shape_out=(60, 60), parallel=False)
    middle = seen > 0.05 * seen.max()
    # 1 %: clipping adds a pixel's width to the PSF, (1.5/9)^2 / 2 of the curvature
    assert seen[middle] == pytest.approx(9 * clipped[middle], rel=0.01)


def test_stacks_are_seen_plane_by_plane():
    light = np.stack([point(), 2 * point()])
    target = grid(1.5, 40)
    kwargs = {"source": grid(0.5, 201), "target": target, "shape": (40, 40), "psf_fwhm": 5.0}
    one, two = resample(light, **kwargs)
    assert np.array_equal(one, resample(point(), **kwargs))
    assert two == pytest.approx(2 * one)


def test_too_narrow_for_the_truth():
    with pytest.raises(DataError, match=r'truth sampled to 0\.421" or finer'):
        resample(point(), source=grid(0.5, 201), target=grid(0.4, 9), shape=(9, 9), psf_fwhm=0.8)


def test_too_narrow_for_the_pixels():
    with pytest.raises(DataError, match='narrower than the pixels of 3"'):
        resample(point(), source=grid(0.5, 201), target=grid(3, 9), shape=(9, 9), psf_fwhm=2.0)
