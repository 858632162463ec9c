import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pxdask.kernels.stretching import stretched_means


def test_two_bins_by_hand():
    # bins of 1, 2 and 4 of unit width from 0; twice as wide they end at 2, 4, 6
    spectra = np.array([[1.0, 2.0, 4.0]], np.float32)
    edges, wanted = np.array([0.0, 1.0, 2.0, 3.0]), np.array([1.0, 3.0, 5.0])
    got = stretched_means(spectra, edges, wanted, stretch=np.array([2.0]), scale=np.array([10.0]))
    np.testing.assert_array_equal(got, [[15.0, 30.0]])


@given(stretch=st.floats(0.9, 1.1), seed=st.integers(0, 100))
def test_integrals_are_kept(stretch, seed):
    rng = np.random.default_rng(seed)
    spectra = rng.uniform(0, 1, (3, 50)).astype(np.float32)
    edges = np.linspace(100.0, 200.0, 51)
    wanted = np.sort(rng.uniform(112.0, 178.0, 8))
    got = stretched_means(
        spectra, edges, wanted, stretch=np.full(3, stretch), scale=np.full(3, 1 / stretch)
    )
    low, high = (
        np.maximum(edges[:-1], wanted[0] / stretch),
        np.minimum(edges[1:], wanted[-1] / stretch),
    )
    want = spectra.astype(float) @ np.clip(high - low, 0, None)
    # means are float32
    np.testing.assert_allclose(got @ np.diff(wanted), want, rtol=1e-6)


def test_one_bin_and_no_spectrum():
    edges = np.array([0.0, 1.0])
    one = stretched_means(
        np.ones((1, 1), np.float32),
        edges,
        np.array([0.2, 0.4]),
        stretch=np.ones(1),
        scale=np.ones(1),
    )
    np.testing.assert_allclose(one, [[1.0]], rtol=1e-6)
    none = np.empty((0, 1), np.float32)
    got = stretched_means(none, edges, edges, stretch=np.empty(0), scale=np.empty(0))
    assert got.shape == (0, 1)
