import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxdask.morphology.links import smooth_terms

BANDS = np.array([4800.0, 6200.0, 7500.0, 8700.0, 9600.0])


def test_a_parabola_has_the_terms_of_chebyshev():
    terms = smooth_terms(
        np.array([4800.0, 7200.0, 9600.0]), of_bands=BANDS, link="polynomial", order=2
    )
    np.testing.assert_allclose(terms, [[1, -1, 1], [1, 0, -1], [1, 1, 1]], atol=1e-12)


@pytest.mark.parametrize("link", ["polynomial", "bspline"])
@given(order=st.integers(0, 6), n_band=st.integers(1, 5))
def test_no_more_terms_than_bands_and_all_of_them_told_apart(link, order, n_band):
    bands = BANDS[:n_band]
    terms = smooth_terms(bands, of_bands=bands, link=link, order=order)
    assert np.linalg.matrix_rank(terms) == terms.shape[1] <= n_band
    assert terms.shape[1] >= min(order, n_band - 1) + 1


@given(st.integers(1, 4), st.floats(4000.0, 11000.0))
def test_splines_add_up_to_one_also_beyond_the_bands(order, wave):
    terms = smooth_terms(np.array([wave]), of_bands=BANDS, link="bspline", order=order)
    assert terms.sum() == pytest.approx(1.0)


def test_bands_of_one_wavelength_count_once():
    twice = np.array([5000.0, 5000.0, 7000.0])
    assert smooth_terms(twice, of_bands=twice, link="polynomial", order=2).shape == (3, 2)


def test_one_band_has_a_constant():
    one = np.array([5000.0])
    np.testing.assert_array_equal(smooth_terms(one, of_bands=one, link="bspline", order=2), [[1]])
