import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxdask.core.errors import ConfigError
from pxdask.core.flags import Flag
from pxdask.images.units import microjansky_factor, pixel_flags, to_sigma, unusable


def factor(unit=None, *, zero_point=None, area=1.0, pivot=5000.0):
    return microjansky_factor(unit=unit, zero_point=zero_point, pixel_area=area, pivot=pivot)


def test_a_jwst_pixel_by_hand():
    # 1 MJy/sr over 0.03 x 0.03 arcsec: 1e12 uJy x 9e-4 x (4.84813681e-6 rad)^2 = 0.02115399 uJy
    assert factor("MJy/sr", area=0.03**2) == pytest.approx(0.0211540, rel=1e-5)


def test_a_sdss_pixel_by_hand():
    image = np.array([[2.0, np.nan]]) * microjansky_factor(
        unit="nmgy", pixel_area=0.157, pivot=6166.0
    )
    assert image[0, 0] == pytest.approx(7.262)  # 2 nanomaggies of 3.631 uJy
    assert np.isnan(image[0, 1])


@pytest.mark.parametrize(("magnitude", "microjansky"), [(23.9, 1.0), (31.4, 1e-3), (22.5, 3.6308)])
def test_zero_points(magnitude, microjansky):
    assert factor(zero_point=magnitude) == pytest.approx(microjansky, rel=1e-4)


def test_flux_per_wavelength_by_hand():
    # 1e-17 x 5000^2 / 2.99792458e18 = 8.33910e-29 erg s-1 cm-2 Hz-1 = 8.3391 uJy
    for unit in ("1e-17 erg s-1 cm-2 Angstrom-1", "1e-17 erg/s/cm^2/A", "1e-17 ergs/s/cm2/A"):
        assert factor(unit) == pytest.approx(8.33910, rel=1e-5)


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("uJy", 1.0),
        ("nJy", 1e-3),
        ("Jy", 1e6),
        ("10.0*nanoJansky", 1e-2),
        ("Jy/pixel", 1e6),
        ("nanomaggies", 3.631),
        ("nanomaggy", 3.631),
        ("erg s-1 cm-2 Hz-1", 1e29),
        ("uJy/arcsec2", 0.25),
        ("nJy / arcsec2", 0.25e-3),
    ],
)
def test_spellings(unit, expected):
    assert factor(unit, area=0.25) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("unit", ["counts", "electron / s", "K", "", "mag", "furlong"])
def test_other_units_are_refused(unit):
    with pytest.raises(ConfigError, match=r"zero_point"):
        factor(unit)


def test_units_per_beam_need_its_solid_angle():
    # SPIRE 250: pixels of 36 arcsec2 under a beam of 469.35
    per_beam = microjansky_factor(unit="Jy/beam", pixel_area=36.0, pivot=2.5e6, beam_area=469.35)
    assert per_beam == pytest.approx(76701.82, rel=1e-6)
    with pytest.raises(ConfigError, match="'mJy/beam': the beam's solid angle"):
        factor("mJy/beam")


def test_unit_and_zero_point_exclude_each_other():
    with pytest.raises(ConfigError, match="not both"):
        factor("uJy", zero_point=25.0)
    with pytest.raises(ConfigError, match="not both"):
        factor()


@given(st.floats(1e-12, 1e12))
def test_the_three_kinds_of_uncertainty_agree(sigma):
    given_as = {"sigma": sigma, "variance": sigma**2, "weight": sigma**-2}
    for kind, value in given_as.items():
        # a few roundings of float64
        assert to_sigma(np.array([value]), kind=kind)[0] == pytest.approx(sigma, rel=1e-14)


def test_what_is_no_error_is_nan_and_flagged():
    values = np.array([[1.0, 0.0, -1.0, np.inf, np.nan]])
    for kind in ("sigma", "variance", "weight"):
        np.testing.assert_array_equal(
            np.isnan(to_sigma(values, kind=kind)), [[False, True, True, True, True]]
        )
    flags = pixel_flags(np.array([[np.nan, 1.0, 1.0]]), np.array([[1.0, np.nan, 1.0]]))
    assert flags.tolist() == [[Flag.NO_DATA, Flag.NO_ERROR, 0]]
    assert flags.dtype == np.uint16
    with pytest.raises(ConfigError, match="rms"):
        to_sigma(values, kind="rms")


def test_scaled_uncertainty_survives_float32():
    tiny = np.float32(1.0)  # stored for 1e-40, which float32 would hold as a denormal number
    assert to_sigma(np.array([tiny]), kind="variance", scale=1e-40)[0] == pytest.approx(1e-20)


def test_why_a_band_cannot_be_used():
    one, zero, nan = np.ones((2, 2)), np.zeros((2, 2)), np.full((2, 2), np.nan)
    assert unusable(one, one, kind="variance") == ""
    assert "all pixels" in unusable(nan, one, kind="variance")
    assert unusable(one, zero, kind="variance") == "the variance map is zero everywhere"
    assert unusable(one, -one, kind="weight") == "the weight map is nowhere positive"
    assert unusable(one, nan, kind="sigma") == "the sigma map is NaN everywhere"
    assert "no pixel of the image" in unusable(one[:0], one[:0], kind="sigma")
    apart = np.array([[1.0, np.nan], [1.0, np.nan]]), np.array([[0.0, 1.0], [0.0, 1.0]])
    assert "both" in unusable(*apart, kind="sigma")
