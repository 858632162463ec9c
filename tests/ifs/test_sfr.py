"""Dust and star formation of Balmer lines."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxdask.ifs.sfr import balmer_dust, line_luminosity, star_formation


def formed(alpha, beta, *, alpha_err=1e-3, beta_err=1e-3, distance=100.0, n_draws=100, seed=0):
    alpha, beta = np.atleast_1d(alpha).astype(float), np.atleast_1d(beta).astype(float)
    return star_formation(
        alpha,
        beta,
        halpha_err=np.full(alpha.shape, alpha_err),
        hbeta_err=np.full(beta.shape, beta_err),
        distance=distance,
        rng=np.random.default_rng(seed),
        n_draws=n_draws,
    )


def test_the_papers_equations_by_hand():
    # Decrement 4: E = 2.5 log10(4 / 2.86) = 0.364235. Calzetti's law with R_V = 3.1 at x =
    # 0.656461 um: 2.659 (-1.857 + 1.040 / x) + 3.1 = 2.374764; at x = 0.486268 um:
    # 2.659 (-2.156 + 1.509 / x - 0.198 / x^2 + 0.011 / x^3) + 3.1 = 3.646509. E(B-V) = 0.364235
    # / 1.271744 = 0.286406, A = 2.374764 of it = 0.680146. L = 4 pi (100 x 3.085678e24 cm)^2 x
    # 1e-13 = 1.196495e41 erg s-1, times 10^(0.4 A) = 1.870934 is 2.238564e41, and the SFR 4.65e-42
    # of it = 1.040932.
    dust = balmer_dust(np.array([4.0]), np.array([1.0]))
    assert dust.ebv[0] == pytest.approx(0.286406, rel=3e-6)
    assert dust.attenuation[0] == pytest.approx(0.680146, rel=3e-6)
    found = formed(1e4, 2.5e3)
    assert found.decrement[0] == pytest.approx(4.0, rel=1e-12)
    assert found.luminosity[0] == pytest.approx(22.38564, rel=3e-6)
    assert found.sfr[0] == pytest.approx(1.040932, rel=3e-6)


def test_no_dust_by_hand():
    # 4 pi (3.0856776e24 cm)^2 x 1e-17 = 1.196495e33 erg s-1; decrements below 2.86 have no dust.
    assert line_luminosity(np.array([1.0]), distance=1.0)[0] == pytest.approx(1.196495e-7, rel=1e-6)
    for beta in (1 / 2.86, 0.5, 1.0):
        dust = balmer_dust(np.array([1.0]), np.array([beta]))
        assert dust.attenuation[0] == pytest.approx(0, abs=1e-12)
    found = formed([100.0], [50.0], distance=1.0)
    assert found.sfr[0] == pytest.approx(4.65e-42 * 1.196495e35, rel=1e-6)


@given(st.floats(0, 2))
def test_dust_that_was_put_in_is_taken_out(ebv):
    unit = balmer_dust(np.array([2.86 * np.exp(1)]), np.array([1.0]))
    ratio = unit.attenuation[0] / unit.ebv[0]
    k_beta = ratio + 2.5 * np.log10(np.e) / unit.ebv[0]
    alpha, beta = 286 * 10 ** (-0.4 * ebv * ratio), 100 * 10 ** (-0.4 * ebv * k_beta)
    found = formed(alpha, beta, alpha_err=1e-9, beta_err=1e-9)
    assert found.ebv[0] == pytest.approx(ebv, abs=1e-9)
    clean = formed(286.0, 100.0, alpha_err=1e-9, beta_err=1e-9)
    assert found.sfr[0] == pytest.approx(clean.sfr[0], rel=1e-9)


@pytest.mark.statistical
def test_errors_are_those_of_propagation():
    # Bright lines: sigma(A) = 2.5 / ln 10 k_a / (k_b - k_a) x the decrement's relative error;
    # half-ranges of 20000 draws are right to 1 %, and curvature adds less than 1 %.
    found = formed(1e4, 2e3, alpha_err=50.0, beta_err=20.0, n_draws=20000)
    relative = np.hypot(50 / 1e4, 20 / 2e3)
    assert found.decrement_err[0] == pytest.approx(5 * relative, rel=0.03)
    slope = found.attenuation[0] / found.ebv[0]
    ebv_err = 2.5 / np.log(10) * relative / (3.647 - 2.375)
    assert found.ebv_err[0] == pytest.approx(ebv_err, rel=0.03)
    assert found.attenuation_err[0] == pytest.approx(slope * ebv_err, rel=0.03)
    # ln SFR = ln a + 0.4 ln(10) A, and both have a: d ln SFR = (1 + s) da / a - s db / b.
    s = slope / (3.647 - 2.375)
    expected = np.hypot((1 + s) * 50 / 1e4, s * 20 / 2e3)
    assert found.sfr_err[0] / found.sfr[0] == pytest.approx(expected, rel=0.04)


def test_lines_not_seen():
    found = formed([10.0, 1.0, 10.0, np.nan, -5.0, 10.0], [5.0, 5.0, 1.5, 5.0, 5.0, np.nan],
                   alpha_err=1.0, beta_err=1.0)  # fmt: skip
    assert np.isfinite(found.sfr).tolist() == [True] + 5 * [False]
    assert np.isfinite(found.sfr_err).tolist() == [True] + 5 * [False]
    assert np.all(np.isnan(formed([np.nan], [np.nan]).ebv))
    assert np.isnan(balmer_dust(np.array([1.0]), np.array([0.0])).decrement[0])
