import math

import pytest

from pxdask.io.filters import load_filters
from pxdask.simulate import NEARBY, SURVEYS
from pxdask.simulate.surveys import sky_sigma, ujy_per_unit

BANDS = [(band, survey) for survey in SURVEYS.values() for band in survey.bands]


def find(name):
    return next((band, survey) for band, survey in BANDS if band.name == name)


def test_twelve_nearby_bands_from_fuv_to_w2():
    names = [band.label for name in NEARBY for band in SURVEYS[name].bands]
    assert names == ["FUV", "NUV", *"ugriz", "j", "h", "ks", "W1", "W2"]


def test_band_names_are_unique():
    names = [band.name for band, _ in BANDS]
    assert len(set(names)) == len(names)


def test_every_filter_is_known():
    load_filters([band.filter for band, _ in BANDS])


@pytest.mark.parametrize(
    ("name", "ujy"),
    [
        ("galex_fuv", 107.6),  # 1.40e-15 erg/s/cm2/A at 1516-1538 A is 107-110 uJy
        ("sdss_r", 3.631),  # a nanomaggy
        ("2mass_j", 6.97),  # 1594 Jy at magnitude 0, zero point 20.9
        ("wise_w1", 1.935),
        ("acs_f814w", 1.0),
        ("jwst_f200w", 0.021154),  # 1 MJy/sr in 0.03": 2.350443e-5 Jy/arcsec2 x 9e-4 arcsec2
    ],
)
def test_one_unit_is_worth(name, ujy):
    band, survey = find(name)
    # half a per cent: rounded magnitudes of zero points, AB magnitudes of Vega to 3 decimals
    assert ujy_per_unit(band, pixel_scale=survey.pixel_scale) == pytest.approx(ujy, rel=5e-3)


def test_sky_noise_of_sdss_r_by_hand():
    band, survey = find("sdss_r")
    # 22.70 mag = 3.02 uJy, a fifth: 0.604; 4 pi (1.5/2.3548)^2 / 0.396^2 = 32.5 pixels
    assert sky_sigma(band, survey) == pytest.approx(0.604 / math.sqrt(32.5), rel=2e-3)


def test_sky_noise_of_an_aperture_limit():
    band, survey = find("jwst_f444w")
    n_pixel = math.pi * 0.15**2 / 0.03**2
    faintest = 10 ** (0.4 * (23.9 - band.limit_mag))
    assert 5 * sky_sigma(band, survey) * math.sqrt(n_pixel) == pytest.approx(faintest)


def test_select_keeps_the_survey():
    survey = SURVEYS["sdss"].select("sdss_r", "sdss_g")
    assert [band.name for band in survey.bands] == ["sdss_g", "sdss_r"]
    assert survey.pixel_scale == SURVEYS["sdss"].pixel_scale
