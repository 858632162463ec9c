import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from pxdask.morphology.profiles import concentration, mixture, sersic_brightness


@pytest.mark.parametrize(("index", "published"), [(1.0, 1.678347), (4.0, 7.669249)])
def test_b_n_is_that_of_the_literature(index, published):
    # Graham & Driver (2005) give 1.678 and 7.669; the digits beyond are Ciotti & Bertin's (1999)
    assert concentration(index) == pytest.approx(published, rel=1e-4)


@given(st.floats(0.2, 10.0))
def test_half_of_the_light_is_within_r_eff(index):
    def ring(ln_radius):
        radius = np.exp(ln_radius)
        return 2 * np.pi * radius**2 * float(sersic_brightness(radius, index=index))

    # below e^-40 r_eff there is less than 1e-4 of the light even of n = 10
    assert quad(ring, -40.0, 0.0, limit=200)[0] == pytest.approx(0.5, abs=1e-4)


@pytest.mark.parametrize(
    ("index", "bound"), [(0.2, 1.2e-2), (0.3, 2e-3), (0.4, 3e-4), (0.7, 2e-5), (1, 2e-5), (4, 2e-5)]
)
def test_gaussians_add_up_to_the_profile(index, bound):
    """Between knots of the splines too: no index asked for here is one."""
    radius = np.exp(np.arange(-6.0, 3.0, 0.01))
    table = mixture()
    amplitudes = table.amplitudes(index) / (2 * np.pi * table.sigma**2)
    found = np.exp(-0.5 * (radius[:, None] / table.sigma) ** 2) @ amplitudes
    away = 2 * np.pi * radius**2 * (found - sersic_brightness(radius, index=index))
    assert np.max(np.abs(away)) < bound


@given(st.floats(0.2, 5.0))
def test_gaussians_hold_all_the_light(index):
    # beyond 60 r_eff, which is left out, n = 5 has 2e-4
    assert mixture().amplitudes(index).sum() == pytest.approx(1.0, abs=4e-4)


def test_every_width_is_sqrt_2_times_the_one_before():
    sigma = mixture().sigma
    steps = sigma[1:] / sigma[:-1]
    assert np.sum(np.abs(steps - np.sqrt(2)) > 1e-12) == 1  # where the second ladder begins
