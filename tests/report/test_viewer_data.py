import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pxdask.report.viewer_data import FLOOR, Layer, drawn_seds, outlines

NAN = np.nan


def seds(flux, flux_err, model, is_limit=None, **options):
    flux = np.atleast_2d(np.array(flux, float))
    limit = np.zeros(flux.shape, bool) if is_limit is None else np.atleast_2d(is_limit)
    n_band = flux.shape[1]
    return drawn_seds(
        tuple("abcdef"[:n_band]),
        np.arange(n_band, 0, -1.0),
        flux=flux,
        flux_err=np.atleast_2d(np.array(flux_err, float)),
        model=np.atleast_2d(np.array(model, float)),
        is_limit=limit,
        **options,
    )


def test_a_sed_by_hand():
    """Bands go by wavelength; a flux below its error is a limit of 2 sigma above it."""
    found = seds([10.0, 1.0, 4.0], [1.0, 2.0, 3.0], [8.0, 2.0, 5.0])
    assert found.bands == ("c", "b", "a")
    np.testing.assert_array_equal(found.wave, [1, 2, 3])
    np.testing.assert_array_equal(found.seen, [[4, NAN, 10]])
    np.testing.assert_array_equal(found.limit, [[NAN, 5, NAN]])
    np.testing.assert_array_equal(found.lower, [[1, NAN, 9]])
    np.testing.assert_array_equal(found.upper, [[7, NAN, 11]])
    np.testing.assert_allclose(found.residual, [[-1 / 3, -0.5, 2]], rtol=1e-6)
    assert found.low == 0.5 * 2
    assert found.high == 2.5 * 10
    assert found.reach == pytest.approx(1.2 * 3)


def test_the_systematic_error_counts_in_residuals():
    found = seds([10.0], [3.0], [5.0], systematic=0.4)
    assert found.residual[0, 0] == pytest.approx(5 / np.hypot(3, 4))
    assert found.upper[0, 0] == 13  # bars are of the observation


def test_given_limits_and_what_is_not_there():
    found = seds([5.0, NAN, 3.0, -4.0], [1.0, 1.0, 0.0, 1.0], [2.0, NAN, -1.0, 1.0], [[1, 0, 0, 0]])
    np.testing.assert_array_equal(found.seen, np.full((1, 4), NAN))
    np.testing.assert_array_equal(found.limit, [[2, NAN, NAN, 5]])
    np.testing.assert_array_equal(found.model, [[1, NAN, NAN, 2]])
    np.testing.assert_array_equal(found.residual[0, 1:], [NAN] * 3)


def test_a_bin_without_anything_has_axes():
    found = seds([NAN], [NAN], [NAN])
    assert found.low < found.high
    assert found.reach > 0


@given(hnp.arrays(float, (4, 3), elements=st.floats(-1e6, 1e6)))
def test_all_that_is_drawn_is_inside_the_axes(flux):
    found = seds(flux, np.full(flux.shape, 7.0), np.abs(flux) + 1e-3)
    for name in ("seen", "limit", "model"):
        values = getattr(found, name)
        inside = (values > found.low[:, None]) & (values < found.high[:, None])
        assert np.all(inside | np.isnan(values))
    known = np.isfinite(found.seen)
    assert np.all(found.lower[known] >= np.float32(0.999 * FLOOR) * found.seen[known])


def test_the_outline_of_bins_by_hand():
    """Two bins side by side, each 1 x 2 pixels of 3: six sides each, one of them shared."""
    edges, first = outlines(np.array([[0, 1], [0, 1]], np.int32), n_bin=2, extent=(0, 6, 0, 6))
    np.testing.assert_array_equal(first, [0, 6, 12])
    left = {tuple(map(float, edge)) for edge in edges[:6]}
    assert (3, 0, 3, 3) in left  # the shared side
    assert (0, 0, 3, 0) in left
    assert all(edge[0] <= 3 and edge[2] <= 3 for edge in left)


@given(hnp.arrays(np.int32, (5, 4), elements=st.integers(-1, 3)))
def test_outlines_are_closed(bin_map):
    """Every corner is met by an even number of a bin's sides, and their length is the perimeter."""
    edges, first = outlines(bin_map, n_bin=4, extent=(0.0, 4.0, 0.0, 5.0))
    for n in range(4):
        own = edges[first[n] : first[n + 1]]
        corners, counts = np.unique(own.reshape(-1, 2), axis=0, return_counts=True)
        assert np.all(counts % 2 == 0)
        wide = np.pad(bin_map == n, 1)
        assert len(own) == sum(np.count_nonzero(np.diff(wide, axis=axis)) for axis in (0, 1))
        assert len(corners) == 0 or len(own) >= 4


def test_colours_span_what_is_there():
    assert Layer("a", np.array([NAN, NAN]), "Viridis256").limits == (0.0, 1.0)
    assert Layer("a", np.array([2.0, 2.0]), "Viridis256").limits == (1.5, 2.5)
    low, high = Layer("a", np.linspace(0, 100, 101), "Viridis256").limits
    assert (low, high) == (1.0, 99.0)
