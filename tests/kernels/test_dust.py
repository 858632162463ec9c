"""The starburst attenuation law."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxdask.kernels.dust import CALZETTI_BREAKS, CALZETTI_RV, calzetti


@pytest.mark.parametrize(
    ("wave", "k"),
    [
        (5500.0, 4.05),  # k(V) = R_V
        (4400.0, 5.10),  # A_B - A_V = E(B - V), to the law's own 1 per cent
        (1500.0, 10.33),  # eq. 4 by hand: 2.659 * (-2.156 + 10.06 - 8.8 + 3.2593) + 4.05
        (22000.0, 0.369),  # eq. 4 by hand: 2.659 * (-1.857 + 0.47273) + 4.05
        (970.0, 14.28),  # Leitherer et al. (2002), eq. 14
    ],
)
def test_published_values(wave, k):
    assert CALZETTI_RV * calzetti(np.array(wave)) == pytest.approx(k, rel=0.01)


@given(wave=st.floats(100, 1e7), step=st.floats(1.0001, 3))
def test_never_rises_with_wavelength_nor_goes_negative(wave, step):
    blue, red = calzetti(np.array([wave, wave * step]))
    # but for the published jump of 0.025 / 4.05 at 6300 Angstrom
    assert red >= 0
    assert red <= blue + 0.0063 * (wave < 6300 <= wave * step)


def test_breaks_are_where_the_pieces_meet():
    far_ultraviolet, jump, zero = CALZETTI_BREAKS
    below, above = calzetti(far_ultraviolet * (1 + np.array([-1e-9, 1e-9])))
    assert below == pytest.approx(above, rel=1e-7)
    below, above = calzetti(jump * (1 + np.array([-1e-9, 1e-9])))
    assert CALZETTI_RV * (above - below) == pytest.approx(0.0251, abs=2e-4)
    assert calzetti(np.array(zero)) == pytest.approx(0, abs=1e-6)
    assert calzetti(np.array(zero * 0.999)) > 0
