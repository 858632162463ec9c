"""Attenuation laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxdask.kernels.dust import (
    CALZETTI_BREAKS,
    CALZETTI_RV,
    LAWS,
    birth_cloud,
    calzetti,
    drude_bump,
    relative_depth,
    tied_bump,
)
from pxdask.kernels.spectra import interpolation_columns


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


def test_bump_by_hand():
    # half way down where |wave**2 - 2175**2| = 350 wave: at 2175 sqrt(1 + (175 / 2175)**2) +- 175
    middle = 2175 * np.sqrt(1 + (175 / 2175) ** 2)
    got = drude_bump(np.array([2175.0, middle - 175, middle + 175]))
    np.testing.assert_allclose(got, [1, 0.5, 0.5], rtol=1e-12)


@given(wave=st.floats(91, 1e7))
def test_bump_is_the_same_on_both_sides(wave):
    # a Drude profile depends on wave / 2175 - 2175 / wave
    here, mirrored = drude_bump(np.array([wave, 2175**2 / wave]))
    assert 0 < here <= 1
    assert here == pytest.approx(mirrored, rel=1e-9)


def test_birth_clouds_by_hand():
    np.testing.assert_allclose(birth_cloud(np.array([1100.0, 5500.0, 55000.0])), [5, 1, 0.1])


def test_strength_of_the_tied_bump():
    # Kriek & Conroy (2013), eq. 3
    np.testing.assert_allclose(tied_bump(np.array([0.0, -0.5, 0.4])), [0.85, 1.8, 0.09])


def test_kriek_conroy_by_hand():
    # at 2175: Calzetti's k = 2.659 (-2.156 + 6.93793 - 4.18545 + 1.06911) + 4.05 = 8.47858;
    # (k + E_b) / 4.05 * (2175 / 5500)**-0.4 = 2.58730 * 1.44927 for E_b = 2
    got = relative_depth(LAWS["kriek_conroy"], np.array([2175.0]), index=-0.4, bump=2.0)
    assert got == pytest.approx(3.7497, rel=1e-4)


def test_charlot_fall_by_hand():
    got = relative_depth(LAWS["charlot_fall"], np.array([1375.0, 22000.0]), index=-0.7)
    np.testing.assert_allclose(got, [4**0.7, 4**-0.7])


def test_models_against_wavelengths():
    wave = np.geomspace(1000, 1e5, 7)
    index, bump = np.array([[0.0], [-1.0]]), np.array([[0.0], [3.0]])
    got = relative_depth(LAWS["kriek_conroy"], wave, index=index, bump=bump)
    assert got.shape == (2, 7)
    np.testing.assert_allclose(got[0], calzetti(wave))
    np.testing.assert_allclose(
        got[1], (calzetti(wave) + 3 * drude_bump(wave) / CALZETTI_RV) * 5500 / wave
    )


def test_what_a_law_lacks_has_no_effect():
    wave = np.geomspace(1000, 1e5, 7)
    plain = relative_depth(LAWS["calzetti"], wave)
    np.testing.assert_array_equal(plain, calzetti(wave))
    np.testing.assert_array_equal(
        plain, relative_depth(LAWS["calzetti"], wave, index=-1.0, bump=3.0)
    )
    np.testing.assert_array_equal(relative_depth(LAWS["charlot_fall"], wave, bump=3.0), 1)


def seen(wave, band, spectrum, depth, breaks):
    """Return the flux through a band, in full and by nodes between breaks, and without dust."""
    full, by_nodes = np.sum(band * spectrum * np.exp(-depth(wave))), 0.0
    part = np.searchsorted(breaks, wave)
    for inside in (part == value for value in np.unique(part)):
        node, projection = interpolation_columns(wave[inside], band[inside], n_node=6)
        by_nodes += np.exp(-depth(node)) @ (projection.T @ spectrum[inside])
    return full, by_nodes, np.sum(band * spectrum)


@pytest.mark.parametrize(
    ("name", "worst"), [("calzetti", 1e-5), ("charlot_fall", 5e-5), ("kriek_conroy", 5e-4)]
)
@given(
    band=st.tuples(st.floats(np.log(1000), np.log(4e4)), st.floats(0.02, 0.3)),
    depth=st.floats(0, 4), index=st.floats(-2.2, 0.4), bump=st.floats(0, 6),
    birth=st.floats(0, 4), slope=st.floats(-3, 2),
)  # fmt: skip
def test_six_nodes_between_breaks_suffice(name, worst, band, depth, index, bump, birth, slope):
    """Triangular bands, dimmed by less than 5 mag; 6000 random draws give a fifth of ``worst``."""
    law, (ln_centre, width) = LAWS[name], band
    offset = np.linspace(-width, width, 400)[1:-1]
    wave = np.exp(ln_centre + offset)
    spectrum = np.where(wave < 912, 0, (wave / wave[0]) ** slope)
    clouds = birth if name == "charlot_fall" else 0.0

    def total(wave):
        diffuse = depth * relative_depth(law, wave, index=index, bump=bump)
        return diffuse + clouds * birth_cloud(wave)

    full, by_nodes, bare = seen(wave, 1 - np.abs(offset) / width, spectrum, total, law.breaks)
    if full > bare * 10**-2:
        assert by_nodes == pytest.approx(full, rel=worst)
