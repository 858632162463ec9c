"""One pixel of each survey worked by hand, and errors that are the scatter they claim to be."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxdask.core.errors import ConfigError
from pxdask.images import recipes

C_ANGSTROM = 2.99792458e18


def test_a_galex_pixel():
    # 0.01 count/s for 1500 s: photons 0.01 / 1500 = 6.6667e-6, response (0.05 0.01)^2 = 2.5e-7
    rate = np.full((1, 1), 0.01)
    sigma = recipes.galex_sigma(rate, band="fuv", exposure=1500.0)
    assert sigma[0, 0] == pytest.approx(2.629956e-3, rel=1e-6)
    # NUV: response (0.027 0.01)^2 = 7.29e-8
    sigma = recipes.galex_sigma(rate, band="nuv", exposure=np.full((1, 1), 1500.0))
    assert sigma[0, 0] == pytest.approx(np.sqrt(6.6666667e-6 + 7.29e-8), rel=1e-6)
    assert np.isnan(recipes.galex_sigma(rate, band="nuv", exposure=0.0)[0, 0])
    assert np.isnan(recipes.galex_sigma(0 * rate, band="nuv", exposure=9.0)[0, 0])


def test_galex_zero_points_agree_with_its_flux_units():
    # Morrissey et al. 2007: 1 count/s is 1.40e-15 and 2.06e-16 erg/s/cm2/A; at 1528 and 2271 A
    # that is 18.80 and 20.03: in NUV the two calibrations, the survey's own, differ by 5 %
    for band, per_wave, wave, apart in (
        ("fuv", 1.40e-15, 1528.0, 0.02),
        ("nuv", 2.06e-16, 2271.0, 0.06),
    ):
        magnitude = -2.5 * np.log10(per_wave * wave**2 / C_ANGSTROM) - 48.60
        assert recipes.GALEX_AB[band] == pytest.approx(magnitude, abs=apart)


@pytest.mark.statistical
def test_galex_errors_hold_where_most_pixels_have_no_photon():
    rng = np.random.default_rng(7)
    exposure, rate = 100.0, 2e-3  # 0.2 photons a pixel
    image = rng.poisson(rate * exposure, (400, 400)) / exposure
    sigma = recipes.galex_sigma(image, band="nuv", exposure=exposure)
    assert np.median(image) == 0.0
    assert np.all(np.isfinite(sigma))
    assert recipes.sky_rate(image) == pytest.approx(rate, rel=0.03)
    blocks = image.reshape(40, 10, 40, 10).sum((1, 3)) - rate * 100
    errors = np.sqrt((sigma**2).reshape(40, 10, 40, 10).sum((1, 3)))
    # errors of pixels that have photons are larger than the mean one: sums' are 1.3 times
    assert 0.7 < np.std(blocks / errors) < 1.0


def test_an_sdss_pixel():
    # r, camcol 3: 0.5 / 0.005 + 120 = 220 DN; 220 / 4.72 + 1.3225 = 47.93267 DN2
    where = {"band": "r", "camcol": 3, "run": 2000}
    gain, dark = recipes.sdss_gain(**where), recipes.sdss_dark_variance(**where)
    assert (gain, dark) == (4.72, 1.3225)
    sigma = recipes.sdss_sigma(
        np.array([[0.5, -2.0]]), calibration=0.005, sky=120.0, gain=gain, dark_variance=dark
    )
    assert sigma[0, 0] == pytest.approx(0.005 * 6.923343, rel=1e-6)
    assert np.isnan(sigma[0, 1])  # -280 DN is no count


@pytest.mark.parametrize(
    ("band", "camcol", "run", "gain", "dark"),
    [
        ("u", 2, 1100, 1.595, 12.6025),
        ("u", 2, 1101, 1.825, 12.6025),
        ("i", 2, 1499, 6.565, 5.76),
        ("i", 2, 1500, 6.565, 6.25),
        ("i", 4, 1500, 4.885, 7.5625),
        ("z", 4, 94, 4.775, 9.61),
        ("z", 4, 1500, 4.775, 12.6025),
        ("z", 5, 1500, 3.48, 2.1025),
        ("g", 6, 8000, 4.035, 1.8225),
    ],
)
def test_sdss_cameras_changed_with_time(band, camcol, run, gain, dark):
    where = {"band": band, "camcol": camcol, "run": run}
    assert recipes.sdss_gain(**where) == gain
    assert recipes.sdss_dark_variance(**where) == dark


def test_sdss_has_six_columns_and_five_bands():
    with pytest.raises(ConfigError, match="got 7, 'r'"):
        recipes.sdss_gain(band="r", camcol=7, run=1)
    with pytest.raises(ConfigError, match="'ug'"):
        recipes.sdss_dark_variance(band="ug", camcol=1, run=1)


@pytest.mark.statistical
def test_sdss_errors_are_the_scatter():
    rng = np.random.default_rng(3)
    gain, dark, calibration, sky = 4.72, 1.3225, 0.005, 120.0
    truth = 0.3
    electrons = rng.poisson((truth / calibration + sky) * gain, 100_000)
    counts = electrons / gain + rng.normal(0, np.sqrt(dark), electrons.size)
    flux = (counts - sky) * calibration
    sigma = recipes.sdss_sigma(
        flux, calibration=calibration, sky=sky, gain=gain, dark_variance=dark
    )
    assert np.std((flux - truth) / sigma) == pytest.approx(1.0, abs=0.02)


def test_a_2mass_pixel():
    # 100 DN on 50 of sky, scatter 1.5: 100 / 60 + (3.4 1.5)^2 + (0.024 1.5)^2 = 27.677963 DN2
    sigma = recipes.twomass_sigma(np.array([[150.0, 20.0]]), level=50.0, sky_rms=1.5)
    assert sigma[0, 0] == pytest.approx(5.260985, rel=1e-6)
    assert sigma[0, 1] == pytest.approx(np.sqrt(26.011296), rel=1e-9)  # no photons below the sky
    # J: 1594 Jy 10^(-0.4 20.9)
    worth = recipes.vega_factor(zero_flux=recipes.TWOMASS_JY["j"], magzp=20.9)
    assert worth == pytest.approx(6.95806, rel=1e-5)


def test_2mass_zero_points_in_both_units_agree():
    # Cohen et al. 2003 give f_lambda too, at 1.235, 1.662 and 2.159 micron
    for band, per_wave, wave in (
        ("j", 3.129e-13, 12350.0),
        ("h", 1.133e-13, 16620.0),
        ("ks", 4.283e-14, 21590.0),
    ):
        jansky = per_wave * 1e3 * wave**2 / C_ANGSTROM * 1e23
        assert recipes.TWOMASS_JY[band] == pytest.approx(jansky, rel=0.02)


@pytest.mark.parametrize(
    ("band", "magzp", "jansky"),
    [
        ("w1", 20.5, 1.9350e-6),
        ("w2", 19.5, 2.7048e-6),
        ("w3", 18.0, 1.8326e-6),
        ("w4", 13.0, 5.2269e-5),
    ],
)
def test_a_wise_pixel(band, magzp, jansky):
    # the supplement's own table of Jy per DN, to its five digits
    worth = recipes.vega_factor(zero_flux=recipes.WISE_JY[band], magzp=magzp)
    assert worth == pytest.approx(jansky * 1e6, rel=3e-5)


def test_an_hst_pixel():
    # ACS F814W; its zero point by STScI is -2.5 log PHOTFLAM - 5 log PHOTPLAM - 2.408
    photflam, photplam = 7.0331885e-20, 8045.0
    magnitude = -2.5 * np.log10(photflam) - 5 * np.log10(photplam) - 2.408
    worth = recipes.hst_factor(photflam=photflam, photplam=photplam)
    assert worth == pytest.approx(10 ** (0.4 * (23.9 - magnitude)), rel=1e-3)
    longer = recipes.hst_factor(photflam=photflam, photplam=photplam, seconds=500.0)
    assert longer == pytest.approx(worth / 500, rel=1e-12)


def test_an_hsc_pixel():
    # zero point 27.0: 10^(-0.4 3.1) uJy
    assert recipes.fluxmag0_factor(recipes.HSC_FLUXMAG0) == pytest.approx(0.0575440, rel=1e-6)


def test_a_vista_pixel():
    # Ks, 23.0 Vega is 24.827 AB: 10^(-0.4 0.927)
    vega = recipes.vircam_factor(photzp=23.0, system="Vega ", band="ks")
    assert vega == pytest.approx(0.425795, rel=1e-5)
    assert recipes.vircam_factor(photzp=23.9, system="AB", band="ks") == pytest.approx(1.0)
    with pytest.raises(ConfigError, match="'ST'; wanted AB or VEGA"):
        recipes.vircam_factor(photzp=23.0, system="ST", band="ks")


def test_the_sky_s_scatter_stands_for_errors_where_there_is_an_image():
    sigma = recipes.sky_sigma(np.array([[1.0, np.nan]]), sky_rms=0.3)
    np.testing.assert_array_equal(sigma, [[0.3, np.nan]])


@given(rate=st.floats(1e-4, 10.0), exposure=st.floats(10.0, 1e5), grow=st.floats(1.1, 10.0))
def test_longer_exposures_are_never_worse(rate, exposure, grow):
    image = np.full((2, 2), rate)
    short, long = (
        recipes.galex_sigma(image, band="fuv", exposure=t) for t in (exposure, exposure * grow)
    )
    assert np.all(long < short)
    assert np.all(long >= recipes.GALEX_FLAT["fuv"] * rate * (1 - 1e-12))


def test_sky_rate_of_small_and_empty_images():
    assert recipes.sky_rate(np.full((3, 3), np.nan)) == 0.0
    assert recipes.sky_rate(np.full((3, 3), 2.0)) == 2.0
    assert recipes.sky_rate(np.full((20, 20), -1.0)) == 0.0
