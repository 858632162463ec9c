"""What is on disk for one band becomes a raw/1 dataset."""

import numpy as np
import pytest
from astropy.wcs import WCS

from pxdask.core.config import BandConfig
from pxdask.core.errors import ConfigError, DataError
from pxdask.core.schema import RAW
from pxdask.io.fits import read_header, write_image
from pxdask.io.raw import read_raw
from pxdask.io.sdss import frame_planes
from tests.io.images import PIXELS, sky_cards
from tests.io.test_sdss import write_frame


def band(folder, **changes):
    values = {
        "name": "r",
        "filter": "sdss_r",
        "image": str(folder / "a.fits"),
        "uncertainty": {"path": str(folder / "e.fits")},
        "psf": {"fwhm": 1.1},
    }
    return BandConfig.model_validate({**values, **changes})


def test_raw_holds_what_the_stage_needs(tmp_path):
    write_image(tmp_path / "a.fits", PIXELS, sky_cards())
    write_image(tmp_path / "e.fits", PIXELS + 1, {})
    header = read_header(tmp_path / "a.fits")
    raw = read_raw(band(tmp_path), header, footprint=(slice(2, 8), slice(3, 10)))
    RAW.validate(raw)
    np.testing.assert_array_equal(raw["image"].values, PIXELS[2:8, 3:10])
    np.testing.assert_array_equal(raw["uncertainty"].values, PIXELS[2:8, 3:10] + 1)
    assert raw.attrs["bunit"] == "nJy"
    assert raw.attrs["uncertainty_kind"] == "sigma"
    assert (raw.attrs["psf_kind"], raw.attrs["psf_fwhm"]) == ("fwhm", 1.1)
    assert raw.attrs["path"].endswith("a.fits")
    whole, cut = WCS(header.wcs, fix=False), WCS(raw.attrs["wcs"], fix=False)
    np.testing.assert_allclose(
        cut.pixel_to_world_values(1, 2), whole.pixel_to_world_values(4, 4), atol=1e-12
    )
    everything = read_raw(band(tmp_path, zero_point=25.0), header)
    assert everything["image"].shape == (12, 20)
    assert everything.attrs["zero_point"] == 25.0
    assert "bunit" not in everything.attrs


def test_raw_holds_psf_or_kernel(tmp_path):
    write_image(tmp_path / "a.fits", PIXELS, sky_cards())
    write_image(tmp_path / "e.fits", PIXELS + 1, {})
    write_image(tmp_path / "k.fits", np.eye(3, dtype=">f4"), {})
    header = read_header(tmp_path / "a.fits")
    for kind in ("image", "kernel"):
        raw = read_raw(band(tmp_path, psf={kind: str(tmp_path / "k.fits")}), header)
        assert raw.attrs["psf_kind"] == kind
        assert "psf_fwhm" not in raw.attrs
        np.testing.assert_array_equal(raw["psf"].values, np.eye(3))
        assert raw["psf"].dtype == np.float64


def test_raw_needs_a_unit_and_equal_shapes(tmp_path):
    cards = sky_cards()
    del cards["BUNIT"]
    write_image(tmp_path / "a.fits", PIXELS, cards)
    write_image(tmp_path / "e.fits", PIXELS[:, :10], {})
    header = read_header(tmp_path / "a.fits")
    with pytest.raises(DataError, match=r"\(12, 10\).*\(12, 20\)"):
        read_raw(band(tmp_path), header)
    write_image(tmp_path / "e.fits", PIXELS, {})
    with pytest.raises(ConfigError, match=r"'r'.*BUNIT"):
        read_raw(band(tmp_path), header)
    assert read_raw(band(tmp_path, unit="uJy"), header).attrs["bunit"] == "uJy"


def test_variances_too_small_for_float32_are_scaled(tmp_path):
    write_image(tmp_path / "a.fits", PIXELS, sky_cards())
    variance = np.full(PIXELS.shape, 3e-41)  # a denormal float32; (5.5e-21 erg s-1 cm-2 A-1)^2
    variance[0, 0] = 0.0
    write_image(tmp_path / "e.fits", variance, {})
    header = read_header(tmp_path / "a.fits")
    raw = read_raw(band(tmp_path), header)
    restored = raw["uncertainty"].values.astype(float) * raw.attrs["uncertainty_scale"]
    np.testing.assert_allclose(restored, variance, rtol=1e-6)
    write_image(tmp_path / "e.fits", np.where(variance > 0, 3e40, 0.0), {})
    raw = read_raw(band(tmp_path), header)
    assert np.all(np.isfinite(raw["uncertainty"].values))


def test_bands_of_a_survey_carry_what_its_recipe_needs(tmp_path):
    write_frame(tmp_path / "a.fits")
    header = read_header(tmp_path / "a.fits", keywords=("CAMCOL", "RUN"))
    given = band(tmp_path, survey="sdss", uncertainty=None)
    raw = read_raw(given, header, footprint=(slice(2, 8), slice(3, 10)))
    assert raw.attrs["uncertainty_kind"] == "recipe"
    assert raw.attrs["keywords"] == {"CAMCOL": 3, "RUN": 2000}
    assert raw.attrs["bunit"] == "nanomaggy"
    assert "uncertainty" not in raw
    planes = frame_planes(tmp_path / "a.fits", rows=slice(2, 8), columns=slice(3, 10))
    for name, plane in planes.items():
        np.testing.assert_array_equal(raw[name].values, plane)
    write_image(tmp_path / "e.fits", np.ones(raw["sky"].shape), {})
    with pytest.raises(DataError, match="must share one pixel grid"):
        read_raw(band(tmp_path, survey="sdss"), header)


def test_exposure_maps_and_surveys_without_bunit(tmp_path):
    cards = sky_cards()
    del cards["BUNIT"]
    write_image(tmp_path / "a.fits", PIXELS, cards)
    write_image(tmp_path / "t.fits", PIXELS * 10, {})
    header = read_header(tmp_path / "a.fits")
    given = band(tmp_path, survey="galex", uncertainty=None, exposure=str(tmp_path / "t.fits"))
    raw = read_raw(given, header, footprint=(slice(2, 8), slice(3, 10)))
    np.testing.assert_array_equal(raw["exposure"].values, PIXELS[2:8, 3:10] * 10)
    assert "bunit" not in raw.attrs
    write_image(tmp_path / "t.fits", PIXELS[:4], {})
    with pytest.raises(DataError, match=r"the exposure map .*\(4, 20\)"):
        read_raw(given, header)


def test_sky_errors_have_no_image(tmp_path):
    write_image(tmp_path / "a.fits", PIXELS, sky_cards())
    raw = read_raw(band(tmp_path, uncertainty={"kind": "sky"}), read_header(tmp_path / "a.fits"))
    assert raw.attrs["uncertainty_kind"] == "sky"
    assert "uncertainty" not in raw


def test_raw_tells_the_shape_of_the_psf(tmp_path):
    write_image(tmp_path / "a.fits", PIXELS, sky_cards())
    write_image(tmp_path / "e.fits", PIXELS + 1, {})
    header = read_header(tmp_path / "a.fits")
    psf = {"fwhm": 1.0, "shape": "double_gaussian", "second_weight": 0.2}
    attrs = read_raw(band(tmp_path, psf=psf), header).attrs
    assert (attrs["psf_shape"], attrs["second_weight"]) == ("double_gaussian", 0.2)
    assert "second_fwhm" not in attrs
    write_image(tmp_path / "k.fits", np.eye(3), {})
    psf = {"image": str(tmp_path / "k.fits"), "pixel_scale": 0.1}
    assert read_raw(band(tmp_path, psf=psf), header).attrs["psf_pixel_scale"] == 0.1
