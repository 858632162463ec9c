import numpy as np
import pytest

from pxdask.core.errors import DataError
from pxdask.images.region import galaxy_segments, merged_region, segmentation

SIDE = 41


def spot(x, y, *, peak=50.0, sigma=2.0):
    rows, columns = np.indices((SIDE, SIDE))
    return peak * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))


def segments(flux, *, x=20.0, y=20.0, noise_area=1.0, **changes):
    n_band = len(flux)
    how = {"threshold": 2.0, "min_area": 5, "deblend_contrast": 0.005, **changes}
    return galaxy_segments(
        flux,
        np.ones(flux.shape),
        x=x,
        y=y,
        psf_fwhm=np.full(n_band, 2.0),
        noise_area=np.full(n_band, noise_area),
        names=[f"b{i}" for i in range(n_band)],
        **how,
    )


def test_each_band_tells_the_galaxy_from_others():
    flux = np.stack([spot(20, 20) + spot(34, 20), spot(34, 20)])
    found = segments(flux)
    np.testing.assert_array_equal(found.own[0], (spot(20, 20) > 2.0))
    assert not found.own[1].any()  # in this band, the nearest is too far
    np.testing.assert_array_equal(found.others[1], spot(34, 20) > 2.0)
    assert found.others[0, 20, 34]
    assert not np.any(found.own & found.others)
    np.testing.assert_array_equal(found.limit, 2.0)


def test_the_limit_grows_with_correlated_noise():
    """Of A = 21 and n = 5 the growth is 4.13424: see `pxdask.kernels.noise`."""
    found = segments(spot(20, 20)[None], noise_area=21.0)
    np.testing.assert_allclose(found.limit, 2.0 * np.sqrt(4.13424), rtol=1e-5)
    np.testing.assert_array_equal(found.own[0], spot(20, 20) > 2.0 * np.sqrt(4.13424))


def test_a_galaxy_that_must_be_found_and_is_not():
    flux = spot(5, 5)[None]
    with pytest.raises(DataError, match=r"nothing detected.*b0 50"):
        segments(flux)
    found = segments(flux, must_find=False)
    assert not found.own.any()
    assert found.others[0, 5, 5]
    with pytest.raises(DataError, match="outside 41 x 41"):
        segments(flux, x=41.0)
    with pytest.raises(DataError, match="outside"):
        segments(flux, x=np.nan)


def test_missing_pixels_have_no_segment():
    flux = spot(20, 20)[None]
    flux[0, :, 22:] = np.nan
    found = segments(flux)
    assert not found.own[0, :, 22:].any()
    assert found.own[0, 20, 21]
    nothing = segments(np.full((1, SIDE, SIDE), np.nan), must_find=False)
    assert not nothing.own.any()
    assert not nothing.others.any()


def test_any_byte_order_and_stride_is_taken():
    flux = spot(20, 20)
    expected = segmentation(
        flux, np.ones_like(flux), threshold=2.0, min_area=5, deblend_contrast=0.005
    )
    for odd in (flux.astype(">f4"), np.asfortranarray(flux), np.repeat(flux, 2, axis=1)[:, ::2]):
        got = segmentation(
            odd, np.ones_like(odd), threshold=2.0, min_area=5, deblend_contrast=0.005
        )
        np.testing.assert_array_equal(got > 0, expected > 0)


def test_fringes_beyond_neighbours_go_and_those_beyond_stars_stay():
    own = np.zeros((1, 5, 9), dtype=bool)
    own[0, 2, :] = True
    wall = np.zeros((5, 9), dtype=bool)
    wall[:, 4] = True
    none = np.zeros_like(wall)
    left = merged_region(own, neighbours=wall, stars=none, x=1.0, y=2.0)
    assert left[2].tolist() == [True] * 4 + [False] * 5
    both = merged_region(own, neighbours=none, stars=wall, x=1.0, y=2.0)
    assert both[2].tolist() == [True] * 4 + [False] + [True] * 4
    with pytest.raises(DataError, match="45 of the stamp's 45 are masked"):
        merged_region(own, neighbours=none, stars=wall | True, x=1.0, y=2.0)
    with pytest.raises(DataError, match="no pixel"):
        merged_region(own, neighbours=wall | True, stars=none, x=1.0, y=2.0)
