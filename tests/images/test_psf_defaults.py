"""PSFs of known surveys."""

import pytest

from pxdask.core.errors import ConfigError
from pxdask.images.psf_defaults import DEFAULT_PSFS, default_psf, find_default


@pytest.mark.parametrize(
    ("survey", "band", "fwhm"),
    [
        # piXedfit documentation 1.0, section 1.3
        ("galex", "fuv", 4.2),
        ("GALEX", "galex_nuv", 5.3),
        ("2mass", "2mass_ks", 3.5),
        ("2MASS", "K", 3.5),
        ("wise", "W1", 6.1),
        ("wise", "wise_w2", 6.4),
        ("wise", "w3", 6.5),
        ("wise", "w4", 12.0),
        ("irac", "spitzer_irac_ch4", 1.98),
        ("spitzer-irac", "3.6", 1.66),
        ("mips", "spitzer_mips_160", 40.0),
        ("pacs", "herschel_pacs_70", 5.67),
        ("herschel_spire", "spire_250", 18.1),
        ("spire", "PLW", 36.6),
        ("hst-wfc3", "wfc3_ir_f160w", 0.19),
        ("jwst", "jwst_f444w", 0.145),
        ("jwst-nircam", "F444W", 0.145),
        ("euclid", "vis", 0.16),
    ],
)
def test_widths(survey, band, fwhm):
    psf = default_psf(survey, band)
    assert psf.is_gaussian
    assert psf.fwhm == fwhm


@pytest.mark.parametrize(("bands", "fwhm"), [("ugr", 1.5), ("iz", 1.0)])
def test_sdss_has_double_gaussians(bands, fwhm):
    for band in bands:
        psf = default_psf("sdss", f"sdss_{band}")
        expected = {"fwhm": fwhm, "second_fwhm": 2 * fwhm, "second_weight": 0.1}
        assert psf.settings() == {"shape": "double_gaussian", **expected}


def test_every_default_has_a_source_and_is_found_by_its_own_name():
    for survey, bands in DEFAULT_PSFS.items():
        for band, default in bands.items():
            assert len(default.source) > 10
            assert find_default(survey, band) is default
            assert find_default(survey.upper(), f"{survey}_{band}".replace("-", "_")) is default


def test_seeing_is_not_guessed():
    with pytest.raises(ConfigError, match=r"'hsc'.*pxdask psf stars"):
        default_psf("hsc", "g")
    with pytest.raises(ConfigError, match=r"'y' of sdss; there are u, g, r, i, z"):
        default_psf("sdss", "y")
