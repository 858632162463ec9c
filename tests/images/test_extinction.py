import sys
import types

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxdask.core.bandpass import Filter
from pxdask.core.errors import ConfigError, DataError
from pxdask.images import extinction as module
from pxdask.images.extinction import (
    LAWS,
    SFD_RECALIBRATION,
    band_extinction_factor,
    catalogue_ebv,
    extinction,
    extinction_factor,
    map_ebv,
    mean_extinction_factor,
)
from pxdask.io.filters import load_filters

SDSS = ("sdss_u0", "sdss_g0", "sdss_r0", "sdss_i0", "sdss_z0")
TABLE_6 = np.array([4.239, 3.303, 2.285, 1.698, 1.263])
"""A / E(B-V)_SFD in u, g, r, i, z for F99 with R_V = 3.1: Schlafly & Finkbeiner (2011), table 6,
which integrates the spectrum of a star of 7000 K, and holds their recalibration of SFD."""


def magnitudes(factor):
    return 2.5 * np.log10(factor)


@pytest.mark.parametrize("law", LAWS)
def test_extinction_in_the_visual_is_r_v_times_the_reddening(law):
    # the laws are normalised at 5495 Angstrom to 0.2 %, but F99's to broad-band photometry: its
    # spline gives A(5470) = -0.051354 + 1.00216 R - 7.358e-5 R^2 = 3.0546 (Fitzpatrick 1999,
    # table 4), 1.5 % below R, and falls by 0.6 % from there to 5495
    found = extinction(5495.0, ebv=0.5, law=law)
    if law == "F99":
        assert found == pytest.approx(3.1 * 0.5, rel=0.022)
        assert extinction(5470.0, ebv=1.0) == pytest.approx(3.0546, abs=1e-3)
    else:
        assert found == pytest.approx(3.1 * 0.5, rel=2e-3)


def test_published_coefficients_of_sdss():
    bands = load_filters(SDSS)
    ours = np.array([magnitudes(band_extinction_factor(band, ebv=1.0)) for band in bands])
    # The paper ties the law to SFD at 1 micron, 2.7 % above 0.86 E(B-V); its g and u are for
    # a star's spectrum, whose light is bluer than the AB source's
    np.testing.assert_allclose(SFD_RECALIBRATION * ours, TABLE_6, rtol=0.035)
    np.testing.assert_allclose(ours / ours[2], TABLE_6 / TABLE_6[2], rtol=0.015)


def test_calcium_triplet_of_cardelli_by_hand():
    # x = 1 / 0.85 micron^-1, y = x - 1.82: equations 3a and 3b
    y = 1 / 0.85 - 1.82
    a = 1 + np.polyval([0.32999, -0.77530, 0.01979, 0.72085, -0.02427, -0.50447, 0.17699, 0], y)
    b = np.polyval([-2.09002, 5.30260, -0.62251, -5.38434, 1.07233, 2.28305, 1.41338, 0], y)
    expected = 3.1 * 0.2 * (a + b / 3.1)
    assert extinction(8500.0, ebv=0.2, law="CCM89") == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("law", [name for name in LAWS if name != "G23"])
def test_laws_go_on_beyond_three_microns(law):
    wave = np.array([33000.0, 33333.0, 33334.0, 34000.0, 46000.0, 97000.0, 240000.0])
    found = extinction(wave, ebv=1.0, law=law)
    assert found[1] == pytest.approx(found[2], rel=1e-3)
    assert found[0] > found[1] > found[3] > found[4] > 0
    assert found[5] > found[4]  # silicate, at 9.7 micron
    shape = extinction(wave[3:], ebv=1.0, law="G23")
    np.testing.assert_allclose(found[3:] / found[3], shape / shape[0], rtol=1e-9)


def test_the_far_infrared_is_transparent():
    found = extinction([3.199e5, 3.201e5, 6.4e5, 5e6], ebv=1.0, law="G23")
    assert found[0] == pytest.approx(found[1], rel=0.01)
    assert found[2] == pytest.approx(found[1] / 4, rel=0.01)
    assert found[3] < 1e-3


@given(
    st.floats(1150, 1e6),
    st.floats(0, 2),
    st.sampled_from(sorted(LAWS)),
    st.floats(2.3, 5.6),
)
def test_corrections_of_two_screens_multiply(wave, ebv, law, rv):
    one = extinction_factor(wave, ebv=ebv, law=law, rv=rv)
    two = extinction_factor(wave, ebv=2 * ebv, law=law, rv=rv)
    assert one >= 1
    np.testing.assert_allclose(two, one**2, rtol=1e-12)
    assert extinction_factor(wave, ebv=0.0, law=law, rv=rv) == 1.0


def test_any_shape():
    wave = np.array([[4000.0, 5000, 6000], [7000, 8000, 40000]])
    found = extinction(wave, ebv=0.1)
    assert found.shape == (2, 3)
    assert found[0, 1] == extinction(5000.0, ebv=0.1)
    assert extinction(np.empty(0), ebv=0.1).shape == (0,)
    assert extinction(5000.0, ebv=np.array([0.1, 0.2])).shape == (2,)


def test_a_narrow_filter_is_corrected_at_its_wavelength():
    narrow = Filter("narrow", np.array([6560.0, 6561, 6565, 6566]), np.array([0.0, 1, 1, 0]))
    expected = float(extinction_factor(6563.0, ebv=0.3))
    assert band_extinction_factor(narrow, ebv=0.3) == pytest.approx(expected, rel=1e-6)
    assert mean_extinction_factor(narrow, ebv=0.3) == pytest.approx(expected, rel=1e-6)


def test_integrals_over_filters():
    near, optical = load_filters(["galex_NUV", "sdss_g0"])
    for band, least, most in ((near, 0.07, 0.11), (optical, -0.01, 0.01)):
        at = magnitudes(band_extinction_factor(band, ebv=0.03))
        across = magnitudes(mean_extinction_factor(band, ebv=0.03))
        assert least < at / across - 1 < most
    blue = magnitudes(mean_extinction_factor(optical, ebv=0.3, spectrum=lambda w: w**-6.0))
    red = magnitudes(mean_extinction_factor(optical, ebv=0.3, spectrum=lambda w: w**2.0))
    assert blue > red


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"wave": 990.0}, "starts at 1000 Angstrom; asked at 990"),
        ({"wave": 1100.0, "law": "F19"}, "starts at 1149 Angstrom"),
        ({"wave": 5000.0, "law": "F04"}, "wanted one of F99, CCM89, O94, F19, G23"),
        ({"wave": 5000.0, "rv": 1.0}, "R_V of 2.0 to 6.0; got 1.0"),
        ({"wave": np.nan}, "starts at"),
    ],
)
def test_settings_out_of_range(arguments, message):
    with pytest.raises(ConfigError, match=message):
        extinction(ebv=0.1, **arguments)


@pytest.mark.parametrize("ebv", [-0.01, np.nan, np.inf])
def test_reddening_that_is_none(ebv):
    with pytest.raises(DataError, match=r"E\(B-V\) is"):
        extinction(5000.0, ebv=ebv)


def test_reddening_from_the_catalogue():
    assert catalogue_ebv({"id": "a", "ebv": "0.0337"}) == 0.0337
    assert catalogue_ebv({"id": "a", "dust": np.float32(0.5)}, column="dust") == 0.5
    with pytest.raises(DataError, match=r"galaxy 'a': no column 'ebv' for E\(B-V\); it has"):
        catalogue_ebv({"id": "a", "ra": 1.0})
    with pytest.raises(DataError, match="'much', not a number"):
        catalogue_ebv({"id": "a", "ebv": "much"})
    for value in (-0.1, np.nan, "inf"):
        with pytest.raises(DataError, match="wanted zero or more"):
            catalogue_ebv({"id": "a", "ebv": value})


@pytest.fixture
def maps(monkeypatch):
    """A dustmaps that holds galactic latitude / 100, and counts how often it is read."""
    read = []

    class Query:
        def __init__(self):
            read.append(self)

        def __call__(self, position):
            return np.float32(position.galactic.b.deg / 100)

    def no_data():
        raise FileNotFoundError("csfd_ebv.fits")

    for name, query in (
        ("sfd", {"SFDQuery": Query}),
        ("planck", {"PlanckQuery": Query}),
        ("csfd", {"CSFDQuery": no_data}),
    ):
        fake = types.ModuleType(f"dustmaps.{name}")
        fake.__dict__.update(query)
        monkeypatch.setitem(sys.modules, f"dustmaps.{name}", fake)
    monkeypatch.setitem(sys.modules, "dustmaps", types.ModuleType("dustmaps"))
    module._query.cache_clear()
    yield read
    module._query.cache_clear()


def test_reddening_from_a_map(maps):
    # the north pole of the Galaxy: b = 90 deg, at ra 192.859508, dec 27.128336
    pole = {"ra": 192.859508, "dec": 27.128336}
    assert map_ebv(**pole) == pytest.approx(0.9 * 0.86, abs=1e-5)
    assert map_ebv(**pole, name="planck") == pytest.approx(0.9, abs=1e-5)
    map_ebv(ra=190.0, dec=20.0)
    assert len(maps) == 2


@pytest.mark.usefixtures("maps")
def test_maps_without_a_value():
    with pytest.raises(DataError, match="dust map 'sfd' holds -"):
        map_ebv(ra=12.86, dec=-27.13)
    with pytest.raises(ConfigError, match=r"not on disk \(csfd_ebv.fits\); fetch it once"):
        map_ebv(ra=190.0, dec=20.0, name="csfd")
    with pytest.raises(ConfigError, match="wanted one of sfd, csfd, planck"):
        map_ebv(ra=190.0, dec=20.0, name="bayestar")


def test_the_package_of_maps_is_optional(monkeypatch):
    monkeypatch.setitem(sys.modules, "dustmaps", None)
    module._query.cache_clear()
    with pytest.raises(ConfigError, match=r"pip install 'pxdask\[dustmaps\]'"):
        map_ebv(ra=190.0, dec=20.0)
