import numpy as np
import pytest

from pxdask.core.config import ImageConfig
from pxdask.core.errors import DataError
from pxdask.core.schema import IMAGE
from pxdask.images import CubeStage, ImageStage, Psf
from tests.images.skies import DEC, RA, band, grid, raw, stars

GALAXY = {"id": "g1", "ra": RA, "dec": DEC}
ON = grid(0.5, 61)


def image(name, flux, *, on=ON, sigma=1.0, fwhm=2.0, seed=None):
    if seed is not None:
        flux = flux + np.random.default_rng(seed).normal(0, sigma, flux.shape)
    stage = ImageStage(band(name, fwhm=fwhm), ImageConfig(), on, None, 5000.0)
    return stage.run(GALAXY, raw=raw(on, flux, sigma, fwhm=fwhm))


def blob(*offset, flux=2000.0, fwhm=4.0):
    return stars(ON, fwhm=fwhm, positions=[offset], fluxes=[flux])


def cube(images, names, galaxy=GALAXY, **region):
    return CubeStage(ImageConfig(region=region), names).run(galaxy, **images)


def test_bands_come_in_the_configured_order():
    g, r = image("g", blob(0, 0), seed=1), image("r", 2 * blob(0, 0), seed=2)
    done = cube({"one": r, "two": g}, ("g", "r"))
    IMAGE.validate(done)
    assert done["band"].values.tolist() == ["g", "r"]
    assert done["band"].dtype == object
    np.testing.assert_array_equal(done["flux"].values[1], r["flux"].values[0])
    np.testing.assert_array_equal(done["flags"].values[0], g["flags"].values[0])
    assert done.attrs["wcs"] == ON.wcs
    assert CubeStage(ImageConfig(), ("g", "r")).inputs == ("g", "r")
    assert "units" in done["flux"].attrs
    assert "flag_masks" in done["flags"].attrs


def test_the_region_is_where_the_flux_exceeds_the_threshold():
    done = cube({"r": image("r", blob(0, 0), fwhm=4.0)}, ("r",), threshold=3.0)
    expected = blob(0, 0) > 3.0
    # noise-free and alone: exactly the isophote (float32 in between)
    assert np.sum(done["region"].values ^ expected) <= 4
    assert done["region"].values[30, 30]


def test_neighbours_are_left_out_and_bands_merged():
    north, south = blob(0, 3), blob(0, -3)
    far = blob(12, 0)
    images = {
        "g": image("g", north + far, seed=1),
        "r": image("r", south + far, seed=2),
    }
    both = cube(images, ("g", "r"), threshold=3.0)["region"].values
    only_g = cube(images, ("g", "r"), threshold=3.0, bands=("g",))["region"].values
    assert both[36, 30]
    assert both[24, 30]
    assert only_g[36, 30]
    assert not only_g[22, 30]
    assert not both[30, 5:10].any()  # east is at small x
    assert not both[30, 52:].any()


def test_touching_sources_are_deblended():
    pair = blob(0, 0, fwhm=2.5) + blob(4.5, 0, fwhm=2.5)
    images = {"r": image("r", pair)}
    apart = cube(images, ("r",), threshold=2.0)["region"].values
    merged = cube(images, ("r",), threshold=2.0, deblend_contrast=1.0)["region"].values
    x = 30 - round(4.5 / 0.5)
    assert not apart[30, x]
    assert merged[30, x]


def test_a_source_beside_the_position_counts_within_two_psf_widths():
    near = {"r": image("r", blob(3.5, 0, fwhm=2.0, flux=200.0), fwhm=2.0)}
    assert cube(near, ("r",), threshold=5.0)["region"].values.any()
    with pytest.raises(DataError, match=r"'g1'.*threshold of 5\.0 sigma.*r 1\d"):
        cube({"r": image("r", blob(9.0, 0, fwhm=2.0, flux=200.0), fwhm=2.0)}, ("r",), threshold=5.0)


def test_nothing_there_names_threshold_and_peak():
    sky = {"r": image("r", np.zeros(ON.shape), seed=5)}
    with pytest.raises(DataError, match=r"threshold of 1\.5 sigma.*ratios are r [34]"):
        cube(sky, ("r",))


@pytest.mark.parametrize("seed", range(6))
def test_bumps_of_matched_noise_are_no_galaxy(seed):
    sky = np.random.default_rng(seed).normal(0, 1, ON.shape)
    stage = ImageStage(band("r", fwhm=1.5), ImageConfig(), ON, Psf(fwhm=3.0), 5000.0)
    matched = stage.run(GALAXY, raw=raw(ON, sky, 1.0, fwhm=1.5))
    assert matched["noise_area"].values[0] > 30
    # 61 x 61 pixels hold some hundred bumps, of which 7 % exceed 1.5 of their own sigma
    with pytest.raises(DataError, match="nothing detected"):
        cube({"r": matched}, ("r",))


def test_missing_pixels_belong_to_nobody():
    flux = blob(0, 0)
    flux[28:32, 33:36] = np.nan
    done = cube({"r": image("r", flux)}, ("r",), threshold=3.0)
    assert not done["region"].values[28:32, 33:36].any()
    assert done["region"].values[30, 30]


def test_a_pedestal_is_taken_off_for_detection_only(caplog):
    flux = blob(0, 0) + 50.0
    done = cube({"r": image("r", flux)}, ("r",), threshold=3.0)
    assert np.sum(done["region"].values ^ (blob(0, 0) > 3.0)) <= 4
    assert "sky is not subtracted" in caplog.text
    np.testing.assert_allclose(done["flux"].values[0], flux, rtol=1e-6)


def test_inputs_that_do_not_fit_are_refused():
    g = image("g", blob(0, 0))
    with pytest.raises(DataError, match=r"no image of \['r'\]"):
        cube({"g": g}, ("g", "r"))
    other = grid(0.5, 60)
    r = image("r", np.ones(other.shape), on=other)
    with pytest.raises(DataError, match="different grids"):
        cube({"g": g, "r": r}, ("g", "r"))
    with pytest.raises(DataError, match="outside"):
        cube({"g": g}, ("g",), galaxy={"id": "x", "ra": RA, "dec": DEC + 1})
    with pytest.raises(DataError, match="ra is None"):
        cube({"g": g}, ("g",), galaxy={"id": "x", "dec": DEC})


def test_settings_are_those_of_the_region():
    one = CubeStage(ImageConfig(), ("g",)).settings()
    assert one == CubeStage(ImageConfig(stamp_size=3.0, match_psf=False), ("g",)).settings()
    assert one != CubeStage(ImageConfig(region={"min_area": 5}), ("g",)).settings()
    assert one != CubeStage(ImageConfig(), ("g", "r")).settings()
