"""Intergalactic absorption."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxdask.kernels import lyman
from pxdask.kernels.igm import inoue2014, madau1995


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


def test_forest_of_a_source_at_redshift_3():
    # Inoue et al. (2014), table 2, between Lyman alpha and beta: rest 1100, 4400 observed,
    # 4400 / 1215.67 = 3.61940: forest 0.002354 * 3.61940**3.7 = 0.27464,
    #                           damped 5.390e-5 * 3.61940**3 = 0.00256
    # 2500 observed, of a source at 1.2: 2500 / 1215.67 = 2.05648: forest 0.0169 * 2.05648**1.2
    # = 0.04015, damped 1.617e-4 * 2.05648**2 = 0.00068
    got = inoue2014(np.array(4400.0), redshift=3.0)
    assert got == pytest.approx(np.exp(-0.27464 - 0.00256), rel=2e-5)
    got = inoue2014(np.array(2500.0), redshift=1.2)
    assert got == pytest.approx(np.exp(-0.04015 - 0.00068), rel=2e-5)


@pytest.mark.parametrize(
    ("redshift", "x", "forest", "damped"),
    [
        # eq. 25: 0.325 (1.5**1.2 - 2**-0.9 1.5**2.1) = 0.325 (1.62671 - 0.53589 * 2.34310)
        # eq. 28: 0.211 * 4 - 0.0766 * 2**2.3 * 1.5**-0.3 - 0.135 * 2.25
        (1.0, 1.5, 0.12060, 0.844 - 0.33400 - 0.30375),
        # eq. 26, x > 2.2: 0.0255 (4**1.6 3.5**2.1 - 3.5**3.7) = 0.0255 (127.654 - 103.096)
        # eq. 29, x > 3: 0.047 * 64 - 0.0178 * 4**3.3 * 3.5**-0.3 - 0.0292 * 42.875
        (3.0, 3.5, 0.62622, 3.008 - 1.18579 - 1.25195),
        # eq. 26, x < 2.2: 0.0255 * 9.18959 * 4.28710 + 0.325 * 2.29740 - 0.25 * 4.28710
        # eq. 29, x < 3: 0.634 + 3.008 - 0.0178 * 97.0059 * 0.81225 - 0.135 * 4 - 0.291 * 0.81225
        (3.0, 2.0, 0.67949, 0.634 + 3.008 - 1.40252 - 0.54 - 0.23637),
        # eq. 27, x > 5.7: 5.22e-4 (7**3.4 * 6**2.1 - 6**5.5) = 5.22e-4 (747.0258 * 43.0643 - 19047)
        (6.0, 6.0, 6.8503, 0.047 * 343 - 0.0178 * 614.91 * 0.58418 - 0.0292 * 216),
        # eq. 27, 2.2 < x < 5.7: 5.22e-4 * 747.0258 * 10.0451 + 0.218 * 10.0451 - 0.0255 * 58.2567
        (6.0, 3.0, 4.6213, 0.047 * 343 - 0.0178 * 614.91 * 0.71922 - 0.0292 * 27),
    ],
)
def test_lyman_continuum_by_hand(redshift, x, forest, damped):
    wave = np.array(911.8 * x)
    ratio = wave / lyman.WAVE
    row = np.flatnonzero((ratio >= 1) & (ratio < 1 + redshift))
    piece = np.digitize(ratio[row], [2.2, 5.7])
    depth = lyman.FOREST[row, piece] * ratio[row] ** np.array([1.2, 3.7, 5.5])[piece]
    piece = np.digitize(ratio[row], [3.0])
    depth += lyman.DAMPED[row, piece] * ratio[row] ** (2.0 + piece)
    got = inoue2014(wave, redshift=redshift)
    # five digits of depths up to 12
    assert -np.log(got) - depth.sum() == pytest.approx(forest + damped, rel=1e-3)


def test_table_of_lines():
    assert lyman.WAVE.size == 39
    assert np.all(np.diff(lyman.WAVE) > 0)
    # Rydberg's formula, with the table's edge for the limit: lines 2 (alpha) to 40
    n = np.arange(40, 1, -1)
    np.testing.assert_allclose(lyman.WAVE, 911.753 / (1 - 1 / n**2), rtol=3e-5)
    for strengths in (lyman.FOREST, lyman.DAMPED):
        assert np.all(np.diff(strengths, axis=0) > 0)  # higher lines are weaker
        assert np.all(np.diff(strengths, axis=1) < 0)  # later pieces rise more steeply


@pytest.mark.parametrize("power", [(2.2, 1, 1.2, 3.7), (5.7, 2, 3.7, 5.5)])
def test_pieces_of_the_forest_meet(power):
    # published to four digits, at the redshifts where the pieces meet, to a per cent
    at, piece, below, above = power
    np.testing.assert_allclose(
        lyman.FOREST[:, piece - 1] * at**below, lyman.FOREST[:, piece] * at**above, rtol=0.01
    )


@given(wave=st.floats(92, 2e4), low=st.floats(0.0, 9), more=st.floats(0, 2))
def test_farther_sources_are_never_brighter_by_more_than_rounding(wave, low, more):
    near = inoue2014(np.array(wave), redshift=low)
    far = inoue2014(np.array(wave), redshift=low + more)
    # the pieces of the Lyman continuum meet to a per cent
    assert 0 <= far <= near + 0.01
    assert near <= 1


@given(redshift=st.floats(0, 10))
def test_inoue_is_clear_redwards_of_lyman_alpha(redshift):
    wave = 1215.67 * (1 + redshift) * np.array([1, 1.5])
    np.testing.assert_array_equal(inoue2014(wave, redshift=redshift), 1)


def test_models_agree_on_the_forest_of_a_source_at_redshift_3():
    # two fits to counts of absorbers of the same sky; between Lyman beta and alpha
    wave = np.linspace(4150.0, 4800.0, 100)
    ratio = inoue2014(wave, redshift=3.0) / madau1995(wave, redshift=3.0)
    assert np.all((ratio > 0.9) & (ratio < 1.1))


def test_shape_of_the_wavelengths_is_kept():
    wave = np.linspace(700, 9000, 12).reshape(3, 4)
    flat = inoue2014(wave.ravel()[::-1], redshift=5.0)[::-1]
    np.testing.assert_array_equal(inoue2014(wave, redshift=5.0), flat.reshape(3, 4))
    assert inoue2014(np.empty(0), redshift=2.0).shape == (0,)
    np.testing.assert_array_equal(inoue2014(wave, redshift=0.0), 1)
