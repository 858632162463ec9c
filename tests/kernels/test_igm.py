"""Intergalactic absorption."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxdask.kernels.igm import madau1995


def test_between_the_lines_of_a_source_at_redshift_3():
    # rest 1100: Lyman alpha only; 0.0036 * (4400 / 1215.67)**3.46 = 0.3085
    # rest 1000: alpha and beta; 0.0036 * (4000 / 1215.67)**3.46 = 0.2218,
    #            0.0017 * (4000 / 1025.72)**3.46 = 0.1886
    got = madau1995(np.array([4400.0, 4000.0]), redshift=3.0)
    np.testing.assert_allclose(got, np.exp([-0.3085, -0.2218 - 0.1886]), rtol=5e-4)


def test_lyman_continuum_of_a_source_at_redshift_3():
    # 3191.1355 = 3.5 * 911.753, so 1 + z_c = 3.5 and 1 + z = 4 in footnote 3:
    # 0.25 * 42.875 * (4**0.46 - 3.5**0.46)    =  10.7188 * (1.89212 - 1.77941) =  1.2080
    # 9.4 * 6.54790 * (4**0.18 - 3.5**0.18)    =  61.5503 * (1.28343 - 1.25295) =  1.8758
    # 0.7 * 42.875 * (3.5**-1.32 - 4**-1.32)   =  30.0125 * (0.19135 - 0.16043) = -0.9281
    # 0.023 * (4**1.68 - 3.5**1.68)            =  0.023 * (10.2674 - 8.2042)    = -0.0475
    continuum = 1.2080 + 1.8758 - 0.9281 - 0.0475
    wave = 3.5 * 911.753
    lines = np.array([1215.67, 1025.72, 972.537, 949.743])
    opacity = np.array([0.0036, 0.0017, 0.0011846, 0.000941])
    expected = np.exp(-continuum - np.sum(opacity * (wave / lines) ** 3.46))
    # the differences of powers above carry four digits
    assert madau1995(np.array(wave), redshift=3.0) == pytest.approx(expected, rel=5e-3)


@given(wave=st.floats(92, 2e4), low=st.floats(0.0, 6), more=st.floats(0, 2))
def test_farther_sources_are_never_brighter(wave, low, more):
    near = madau1995(np.array(wave), redshift=low)
    far = madau1995(np.array(wave), redshift=low + more)
    assert 0 <= far <= near * (1 + 1e-12) <= 1 + 1e-12


@given(redshift=st.floats(0, 8))
def test_clear_redwards_of_lyman_alpha(redshift):
    assert madau1995(np.array(1215.67 * (1 + redshift)), redshift=redshift) == 1
