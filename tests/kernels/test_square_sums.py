import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2, f

from pxdask.kernels.square_sums import chance_of_squares


def test_published_values():
    """t^2 is F of 1 and dof: the 5 % points of 2 and 10 degrees are 18.513 and 4.965."""
    assert chance_of_squares(np.array([18.513]), n=1, dof=2)[0] == pytest.approx(0.05, rel=3e-3)
    assert chance_of_squares(np.array([4.965]), n=1, dof=10)[0] == pytest.approx(0.05, rel=3e-3)
    # and of chi-square of 10 bands
    assert chance_of_squares(np.array([18.307]), n=10, dof=np.inf)[0] == pytest.approx(
        0.05, rel=1e-4
    )


def test_two_cauchy_squares():
    """P(a^2 + b^2 > x) of two Cauchy deviates by an integral over the plane's angle, by midpoint.

    Inside a circle the density is 1 / pi^2 / (1 + a^2) / (1 + b^2).
    """
    x, n = 50.0, 200_000
    a = np.sqrt(x) * np.sin((np.arange(n) + 0.5) * np.pi / (2 * n))
    height = 2 / np.pi * np.arctan(np.sqrt(x - a**2))
    step = np.sqrt(x - a**2) * np.pi / (2 * n)
    inside = np.sum(2 / np.pi / (1 + a**2) * height * step)
    found = chance_of_squares(np.array([x]), n=2, dof=1.0)[0]
    assert found == pytest.approx(1 - inside, rel=3e-3)


@pytest.mark.parametrize("n", [1, 4, 25])
def test_many_degrees_are_a_gaussian(n):
    total = chi2.ppf([0.01, 0.5, 0.95, 1 - 1e-9], n)
    found = chance_of_squares(total, n=n, dof=1e7)
    np.testing.assert_allclose(found, chi2.sf(total, n), rtol=3e-3)


@pytest.mark.statistical
@pytest.mark.parametrize("dof", [0.7, 2.0, 4.0])
def test_it_is_the_law_of_sums(dof):
    n_draw = 100_000
    squares = np.random.default_rng(3).standard_t(dof, (n_draw, 12)) ** 2
    for n in (2, 12):
        total = squares[:, :n].sum(axis=1)
        for part in (0.9, 0.5, 0.05, 0.005):
            found = np.mean(chance_of_squares(total, n=n, dof=dof) < part)
            assert found == pytest.approx(part, abs=4 * np.sqrt(part * (1 - part) / n_draw))


@given(st.integers(1, 30), st.sampled_from([1.0, 2.0, 5.0]), st.floats(0, 1e15))
def test_more_is_less_likely_and_more_terms_are_more(n, dof, total):
    less, more = chance_of_squares(np.array([total, 1.5 * total + 1e-3]), n=n, dof=dof)
    assert 0 <= more <= less + 1e-12 <= 1 + 1e-12  # rounding near one
    terms = chance_of_squares(np.array([total]), n=n + 1, dof=dof)[0]
    assert terms >= less * (1 - 3e-3)  # its precision


def test_ends():
    found = chance_of_squares(np.array([0.0, 1e12, np.inf, np.nan]), n=3, dof=2.0)
    assert found[0] == pytest.approx(1)
    # far out the greatest of three: 3 P(t^2 > x) = 3 / x, of two degrees
    assert found[1] == pytest.approx(3 * f.sf(1e12, 1, 2), rel=1e-3)
    assert found[2] == 0
    assert np.isnan(found[3])
    assert chance_of_squares(np.array([np.inf]), n=3, dof=np.inf)[0] == 0
