import json

import numpy as np
import pytest

from pxdask.core.config import BandConfig, ImageConfig
from pxdask.core.errors import ConfigError, DataError
from pxdask.core.flags import Flag
from pxdask.core.schema import IMAGE, RAW
from pxdask.images import ImageStage, Psf, band_psf
from pxdask.images.calibration import with_survey_defaults
from pxdask.images.psf import gaussian_kernel, gaussian_matching_kernel, image_fwhm
from tests.images.skies import band, grid, raw, stars

GALAXY = {"id": "g1", "ra": 53.1, "dec": -27.8}
ONE = {"positions": [(0.0, 0.0)], "fluxes": [10.0]}


def stage(on, *, target=None, config=None, **changes):
    return ImageStage(band(**changes), config or ImageConfig(), on, target, 6166.0)


def test_a_star_is_matched_and_resampled():
    source, target = grid(0.2, 200, angle=0.3), grid(0.5, 51)
    image = stars(source, fwhm=1.2, **ONE)
    done = stage(target, target=Psf(fwhm=2.5)).run(GALAXY, raw=raw(source, image, 0.1, fwhm=1.2))
    IMAGE.validate(done)
    flux = done["flux"].values[0].astype(float)
    assert flux.sum() == pytest.approx(10.0, rel=0.005)
    # the coarse pixel adds 0.5^2 / 12 to the variance: 0.9 % of the width
    assert image_fwhm(flux) * 0.5 == pytest.approx(2.5 * 1.009, rel=0.01)
    assert done["psf_fwhm"].values.tolist() == [2.5]
    assert done["noise_area"].values[0] > 5
    assert done.attrs["wcs"] == target.wcs
    assert done.attrs["pixel_scale"] == pytest.approx(0.5)
    assert done["flags"].attrs["flag_meanings"].startswith("no_data")
    assert "region" not in done


def test_a_band_on_the_grid_already_is_only_calibrated():
    on = grid(0.5, 20)
    image = np.arange(400.0).reshape(20, 20)
    image[0, 0], image[0, 1] = np.nan, np.inf
    errors = np.full((20, 20), 4.0)
    errors[3, 3] = 0.0
    delivered = raw(on, image, errors, fwhm=1.0, bunit="nJy", uncertainty_kind="variance")
    done = stage(on, target=Psf(fwhm=1.0)).run(GALAXY, raw=delivered)
    np.testing.assert_allclose(done["flux"].values[0].ravel()[2:], np.arange(2, 400) * 1e-3, 1e-6)
    assert done["flux_err"].values[0, 5, 5] == pytest.approx(2e-3)
    flags = done["flags"].values[0]
    assert flags[0, 0] == flags[0, 1] == Flag.NO_DATA
    assert flags[3, 3] == Flag.NO_ERROR
    assert np.isnan(done["flux_err"].values[0, 3, 3])
    assert done["flux"].values[0, 3, 3] == pytest.approx(63e-3)
    assert flags.sum() == 2 * Flag.NO_DATA + Flag.NO_ERROR
    assert done["noise_area"].values.tolist() == [1.0]
    assert delivered["image"].values[5, 5] == 105.0  # inputs stay as they were


def test_surface_brightness_uses_the_band_s_own_pixels():
    source, target = grid(0.1, 120), grid(0.4, 21)
    sky = raw(source, np.ones((120, 120)), 1.0, fwhm=0.5, bunit="MJy/sr")
    done = stage(target).run(GALAXY, raw=sky)
    # 1 MJy/sr = 23.50443 uJy/arcsec2, times 0.16 arcsec2
    np.testing.assert_allclose(done["flux"].values, 23.50443 * 0.16, rtol=1e-5)


def test_magnitudes_and_weights():
    on = grid(0.5, 8)
    delivered = raw(
        on,
        np.ones((8, 8)),
        0.25,
        fwhm=1.0,
        zero_point=22.9,
        uncertainty_kind="weight",
        uncertainty_scale=4.0,
    )
    done = stage(on).run(GALAXY, raw=delivered)
    np.testing.assert_allclose(done["flux"].values, 10**0.4, rtol=1e-6)
    np.testing.assert_allclose(done["flux_err"].values, 10**0.4, rtol=1e-6)  # weight 1


def test_given_kernels_are_used_normalised():
    on = grid(0.5, 41)
    image = stars(on, fwhm=2.0, **ONE)
    kernel = 7.0 * gaussian_matching_kernel(4.0, 6.0)
    done = stage(on, target=Psf(fwhm=3.0)).run(GALAXY, raw=raw(on, image, 1.0, kernel=kernel))
    flux = done["flux"].values[0].astype(float)
    assert np.nansum(flux) == pytest.approx(10.0, rel=1e-3)
    assert image_fwhm(np.nan_to_num(flux)) * 0.5 == pytest.approx(3.0, rel=0.01)
    assert done["psf_fwhm"].values.tolist() == [3.0]
    loose = ImageConfig(match_psf=False)
    unmatched = stage(on, target=Psf(fwhm=3.0), config=loose).run(
        GALAXY, raw=raw(on, image, 1.0, kernel=kernel)
    )
    np.testing.assert_array_equal(unmatched["flux"].values[0], image.astype(np.float32))
    assert np.isnan(unmatched["psf_fwhm"].values[0])  # a kernel does not tell the band's own


def test_psf_images_are_matched_to_a_gaussian():
    on = grid(0.5, 61)
    image = stars(on, fwhm=2.0, **ONE)
    own = np.pad(gaussian_kernel(4.0), 10)
    done = stage(on, target=Psf(fwhm=4.0)).run(GALAXY, raw=raw(on, image, 1.0, psf=own))
    flux = np.nan_to_num(done["flux"].values[0].astype(float))  # the corners
    assert image_fwhm(flux) * 0.5 == pytest.approx(4.0, rel=0.02)
    alone = stage(on).run(GALAXY, raw=raw(on, image, 1.0, psf=own))
    assert alone["psf_fwhm"].values[0] == pytest.approx(2.0, rel=0.03)  # with its pixels


def test_holes_and_edges_are_flagged():
    on = grid(0.5, 41)
    image = np.full((41, 41), 3.0)
    image[20, 20] = np.nan
    image[5:15, 5:15] = np.nan
    done = stage(on, target=Psf(fwhm=2.0)).run(GALAXY, raw=raw(on, image, 1.0, fwhm=1.0))
    flux, flags = done["flux"].values[0], done["flags"].values[0]
    assert flux[20, 20] == pytest.approx(3.0, rel=1e-5)
    assert flags[20, 20] == Flag.EDGE
    assert np.isnan(flux[10, 10])
    assert flags[10, 10] == Flag.NO_DATA | Flag.NO_ERROR
    assert flags[0, 30] == Flag.EDGE
    assert flags[30, 30] == 0
    np.testing.assert_allclose(flux[np.isfinite(flux)], 3.0, rtol=1e-5)


def test_unusable_bands_say_why():
    on = grid(0.5, 9)
    one = np.ones((9, 9))
    cases = [
        (one * np.nan, 1.0, "all pixels of the image are NaN"),
        (one, 0.0, "sigma map is zero everywhere"),
    ]
    for image, errors, text in cases:
        with pytest.raises(DataError, match=rf"'g1'.*'r'.*sky\.fits.*{text}"):
            stage(on).run(GALAXY, raw=raw(on, image, errors, fwhm=1.0))
    beside = grid(0.5, 9, x=40, y=4)
    with pytest.raises(DataError, match="surroundings"):
        stage(on).run(GALAXY, raw=raw(beside, one, 1.0, fwhm=1.0))


def test_too_wide_a_band_is_a_fault_of_the_configuration():
    on = grid(0.5, 9)
    with pytest.raises(ConfigError, match=r"1\.5 arcsec.*1 arcsec"):
        stage(on, target=Psf(fwhm=1.0)).run(GALAXY, raw=raw(on, np.ones((9, 9)), 1.0, fwhm=1.5))


def test_settings_hold_what_decides_the_output_and_nothing_else():
    on, other = grid(0.5, 9), grid(0.4, 9)
    base = stage(on, target=Psf(fwhm=2.0)).settings()
    assert json.loads(json.dumps(base)) == base
    same = [
        stage(on, target=Psf(fwhm=2.0), image="elsewhere.fits"),
        stage(on, target=Psf(fwhm=2.0), config=ImageConfig(region={"threshold": 3.0})),
    ]
    assert all(s.settings() == base for s in same)
    different = [
        stage(other, target=Psf(fwhm=2.0)),
        stage(on, target=Psf(fwhm=2.1)),
        stage(on, target=Psf(fwhm=2.0), fwhm=1.1),
        stage(on, target=Psf(fwhm=2.0), unit="nJy"),
        stage(on, target=Psf(fwhm=2.0), hdu="SCI"),
        stage(on, target=Psf(fwhm=2.0), config=ImageConfig(reproject="adaptive")),
        stage(on, target=Psf(fwhm=2.0), config=ImageConfig(match_psf=False)),
        stage(on, target=Psf(fwhm=2.0), uncertainty={"path": "e", "kind": "weight"}),
    ]
    assert all(s.settings() != base for s in different)
    unmatched = ImageConfig(match_psf=False)
    assert (
        stage(on, target=Psf(fwhm=2.0), config=unmatched).settings()
        == stage(on, target=None, config=unmatched).settings()
    )


def survey_band(survey, curve, **changes):
    values = {"name": "b", "filter": curve, "image": "sky.fits", "survey": survey}
    return with_survey_defaults(BandConfig.model_validate({**values, **changes}))


def survey_stage(on, given, *, config=None, **changes):
    return ImageStage(given, config or ImageConfig(), on, None, 6166.0, **changes)


def delivered(on, image, *, fwhm=1.5, keywords=None, planes=None, kind="recipe", **attrs):
    """A raw dataset without an uncertainty image."""
    sky = raw(on, image, 1.0, fwhm=fwhm, keywords=keywords or {}, uncertainty_kind=kind, **attrs)
    further = {
        name: (("y", "x"), np.asarray(plane, RAW.variables[name].dtype), RAW.attrs(name))
        for name, plane in (planes or {}).items()
    }
    return RAW.validate(sky.drop_vars("uncertainty").assign(further))


def test_an_sdss_frame_needs_no_uncertainty():
    on = grid(0.396, 20)
    given = survey_band("sdss", "sdss_r")
    planes = {"calibration": np.full(on.shape, 0.005), "sky": np.full(on.shape, 120.0)}
    frame = delivered(
        on,
        np.full(on.shape, 0.5),
        keywords={"CAMCOL": 3, "RUN": 2000},
        planes=planes,
        bunit="nanomaggy",
    )
    done = survey_stage(on, given).run(GALAXY, raw=frame)
    # test_recipes.py: 0.5 nmgy, error 0.0346167 nmgy; 1 nmgy = 3.631 uJy
    np.testing.assert_allclose(done["flux"].values, 0.5 * 3.631, rtol=1e-6)
    np.testing.assert_allclose(done["flux_err"].values, 0.0346167 * 3.631, rtol=1e-5)
    assert np.isnan(done["background"].values[0])  # subtracted on delivery


def test_the_sky_is_subtracted_and_kept():
    on = grid(1.0, 200)
    rng = np.random.default_rng(5)
    image = (
        50.0 + rng.normal(0, 1.5, on.shape) + stars(on, fwhm=4.0, positions=[(0, 0)], fluxes=[3e4])
    )
    given = survey_band("2mass", "2mass_j")
    sky = delivered(on, image, fwhm=3.5, keywords={"MAGZP": 20.9})
    del sky.attrs["bunit"]
    done = survey_stage(on, given).run(GALAXY, raw=sky)
    worth = 6.95806  # uJy per DN, test_recipes.py
    flux = done["flux"].values[0].astype(float)
    assert done["background"].values[0] == pytest.approx(50.0 * worth, rel=0.002)
    assert done["background_rms"].values[0] == pytest.approx(1.5 * worth, rel=0.05)
    assert np.median(flux) == pytest.approx(0.0, abs=0.1 * worth)
    middle = flux[80:120, 80:120].sum()
    # sigma of the sum is 1.5 DN times 40, the level's error 0.03 DN times 1600
    assert middle == pytest.approx(3e4 * worth, abs=4 * worth * np.hypot(60, 48))
    corner = done["flux_err"].values[0, :40, :40]
    assert np.median(corner) == pytest.approx(1.5 * np.hypot(3.4, 0.024) * worth, rel=0.05)
    stated = sky.assign_attrs(keywords={"MAGZP": 20.9, "SKYSIG": 3.0})
    doubled = survey_stage(on, given).run(GALAXY, raw=stated)["flux_err"].values[0, :40, :40]
    assert np.median(doubled) == pytest.approx(3.0 * np.hypot(3.4, 0.024) * worth, rel=0.05)


def test_errors_from_the_sky_of_any_image():
    on = grid(0.5, 100)
    image = np.random.default_rng(6).normal(10.0, 2.0, on.shape)
    given = band(uncertainty={"kind": "sky", "scale": 1.5})
    done = survey_stage(on, given).run(GALAXY, raw=delivered(on, image, kind="sky"))
    assert np.median(done["flux_err"].values) == pytest.approx(3.0, rel=0.05)
    assert np.median(done["flux"].values) == pytest.approx(10.0, abs=0.1)  # not subtracted


def test_a_scale_multiplies_sigma():
    on = grid(0.5, 8)
    given = band(uncertainty={"path": "e", "kind": "variance", "scale": 2.0})
    done = survey_stage(on, given).run(
        GALAXY, raw=raw(on, np.ones((8, 8)), 9.0, fwhm=1.0, uncertainty_kind="variance")
    )
    np.testing.assert_allclose(done["flux_err"].values, 6.0, rtol=1e-6)


def test_extinction_is_undone_on_flux_and_error():
    on = grid(0.5, 8)
    config = ImageConfig.model_validate({"extinction": {"column": "dust"}})
    one = raw(on, np.ones((8, 8)), 0.1, fwhm=1.0)
    done = survey_stage(on, band(), config=config, effective_wave=5470.0).run(
        {**GALAXY, "dust": 0.1}, raw=one
    )
    # Fitzpatrick 1999, table 3: A / E(B-V) is 3.055 at 5470 Angstrom, for R_V = 3.1
    assert done["flux"].values[0, 4, 4] == pytest.approx(10 ** (0.4 * 0.3055), rel=3e-4)
    ratio = done["flux"].values / done["flux_err"].values
    np.testing.assert_allclose(ratio, 10.0, rtol=1e-6)
    with pytest.raises(DataError, match=r"'g1': no column 'dust'"):
        survey_stage(on, band(), config=config).run(GALAXY, raw=one)
    mapped = ImageConfig.model_validate({"extinction": {"dust_map": "sfd"}})
    by_map = survey_stage(on, band(), config=mapped, effective_wave=5470.0, ebv=0.1)
    np.testing.assert_array_equal(by_map.run(GALAXY, raw=one)["flux"], done["flux"])
    with pytest.raises(ConfigError, match="map 'sfd' was not passed on"):
        survey_stage(on, band(), config=mapped).run(GALAXY, raw=one)


def test_shapes_of_psfs_reach_the_kernel():
    on = grid(0.396, 61)
    attrs = {"psf_shape": "double_gaussian", "second_weight": 0.1}
    two = raw(on, np.ones(on.shape), 1.0, fwhm=1.5, **attrs)
    assert band_psf(two).settings() == {
        "shape": "double_gaussian",
        "fwhm": 1.5,
        "second_fwhm": 3.0,
        "second_weight": 0.1,
    }
    moffat = raw(on, np.ones(on.shape), 1.0, fwhm=0.8, psf_shape="moffat", beta=3.0)
    assert band_psf(moffat).settings()["beta"] == 3.0
    other = raw(on, np.ones(on.shape), 1.0, psf=gaussian_kernel(6.0), psf_pixel_scale=0.1)
    assert band_psf(other).width == pytest.approx(0.6, rel=0.03)


def test_kernels_are_brought_to_the_image_s_pixels():
    on = grid(0.5, 61)
    image = stars(on, fwhm=2.0, **ONE)
    fine = gaussian_matching_kernel(10.0, 15.0)  # pixels of 0.2 arcsec: 2 to 3 arcsec
    done = stage(on, target=Psf(fwhm=3.0)).run(
        GALAXY, raw=raw(on, image, 1.0, kernel=fine, psf_pixel_scale=0.2)
    )
    flux = np.nan_to_num(done["flux"].values[0].astype(float))
    assert flux.sum() == pytest.approx(10.0, rel=1e-3)
    assert image_fwhm(flux) * 0.5 == pytest.approx(3.0, rel=0.01)


@pytest.mark.parametrize(
    "changes",
    [
        {"unit": "nJy"},
        {"hdu": 1},
        {"survey": "sdss"},
        {"survey_band": "u"},
        {"exposure": "t.fits"},
        {"uncertainty": {"path": "e", "scale": 2.0}},
        {"uncertainty": {"path": "e", "kind": "weight"}},
        {"uncertainty": {"kind": "sky"}},
        {"psf": {"fwhm": 1.0, "shape": "moffat"}},
        {"psf": {"fwhm": 1.0, "shape": "double_gaussian", "second_weight": 0.2}},
        {"psf": {"image": "p.fits"}},
        {"psf": {"image": "p.fits", "pixel_scale": 0.1}},
        {"background": {}},
        {"background": {"box": 32}},
        {"background": {"subtract": False}},
    ],
)
def test_every_setting_of_a_band_counts(changes):
    on = grid(0.5, 8)
    seen = [json.dumps(survey_stage(on, band(**c)).settings()) for c in ({}, changes)]
    assert seen[0] != seen[1]


def test_every_setting_of_images_counts_and_names_of_files_do_not():
    on = grid(0.5, 8)
    target = Psf(fwhm=2.0)

    def key(given=None, ebv=None, **config):
        made = ImageStage(
            given or band(), ImageConfig.model_validate(config), on, target, 6166.0, 6100.0, ebv
        )
        return json.dumps(made.settings())

    dust = {"column": "ebv"}
    different = [
        key(),
        key(match_psf=False),
        key(kernel_method="window"),
        key(reproject="interpolation"),
        key(extinction=dust),
        key(extinction={**dust, "law": "G23"}),
        key(extinction={**dust, "rv": 3.0}),
        key(extinction={**dust, "scale": 0.86}),
        key(extinction={"dust_map": "sfd"}, ebv=0.1),
        key(extinction={"dust_map": "sfd"}, ebv=0.2),
    ]
    assert len(set(different)) == len(different)
    moved = band(image="b.fits", uncertainty={"path": "c.fits"})
    assert key(moved) == key()
    assert key(band(psf={"image": "p"})) == key(band(psf={"image": "q"}))
