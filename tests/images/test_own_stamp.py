import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pxdask.core.config import ImageConfig
from pxdask.core.errors import ConfigError, DataError
from pxdask.core.schema import STAMP
from pxdask.images import Grid, ImageStage, Psf
from pxdask.images.grid import position
from pxdask.images.own_stamp import own_stamp, psf_on_stamp
from pxdask.images.psf import image_fwhm
from tests.images.skies import DEC, RA, band, grid, raw, stars

GALAXY = {"id": "g1", "ra": RA, "dec": DEC}


def stage(on, **changes):
    return ImageStage(band(**changes), ImageConfig(), on, None, 6166.0)


def numbered(on):
    ny, nx = on.shape
    return np.arange(float(ny * nx)).reshape(on.shape)


def place_of(stamp, **sky):
    wcs = Grid(stamp.attrs["wcs"], (stamp.sizes["y"], stamp.sizes["x"])).to_wcs()
    return position(wcs, **sky)


def test_the_stamp_is_what_the_image_stage_makes_where_nothing_is_to_be_done():
    on = grid(0.5, 20)
    delivered = raw(on, numbered(on), 4.0, fwhm=1.0, bunit="nJy")
    whole = stage(on).run(GALAXY, raw=delivered)
    stamp = own_stamp(stage(on), GALAXY, delivered)
    np.testing.assert_array_equal(stamp["flux"].values, whole["flux"].values[0])
    np.testing.assert_array_equal(stamp["flux_err"].values, whole["flux_err"].values[0])
    assert stamp.attrs["wcs"] == whole.attrs["wcs"]
    assert not stamp["masked"].values.any()
    STAMP.validate(stamp)


def test_a_part_keeps_each_pixel_at_its_place_on_the_sky():
    on = grid(0.2, 61, angle=0.4, x=37.0, y=22.0)
    delivered = raw(on, numbered(on), 1.0, fwhm=1.0)
    stamp = own_stamp(stage(on), GALAXY, delivered, half_side=2.0)
    assert stamp["flux"].shape == (20, 20)
    assert stamp.attrs["pixel_scale"] == pytest.approx(0.2)
    x, y = place_of(stamp, ra=RA, dec=DEC)
    # an even side cannot have the position in its middle: half a pixel off, at most
    assert abs(x - 9.5) <= 0.5 + 1e-6
    assert abs(y - 9.5) <= 0.5 + 1e-6
    value = stamp["flux"].values[round(y), round(x)]
    assert value == 22 * 61 + 37


def test_beyond_the_image_there_is_nothing():
    on = grid(0.5, 30, x=3.0, y=15.0)
    stamp = own_stamp(stage(on), GALAXY, raw(on, numbered(on), 1.0, fwhm=1.0), half_side=5.0)
    masked = stamp["masked"].values
    assert stamp["flux"].shape == (20, 20)
    assert masked[:, :6].all()
    assert not masked[:, 7:].any()
    np.testing.assert_array_equal(np.isnan(stamp["flux"].values), masked)


@settings(max_examples=30, deadline=None)
@given(
    half_side=st.floats(0.1, 40.0),
    max_side=st.integers(1, 64),
    x=st.floats(0.0, 39.0),
    y=st.floats(0.0, 39.0),
)
def test_no_side_is_too_long_and_no_flux_appears(half_side, max_side, x, y):
    on = grid(0.5, 40, x=x, y=y)
    delivered = raw(on, np.ones(on.shape), 1.0, fwhm=1.0)
    stamp = own_stamp(stage(on), GALAXY, delivered, half_side=half_side, max_side=max_side)
    assert stamp["flux"].shape[0] == stamp["flux"].shape[1] <= max_side
    assert np.nansum(stamp["flux"].values) <= 40 * 40
    assert np.isfinite(stamp["flux"].values).any()


def test_missing_pixels_are_masked():
    on = grid(0.5, 20)
    image, errors = numbered(on), np.ones(on.shape)
    image[3, 4], errors[5, 6], errors[7, 8] = np.inf, 0.0, np.nan
    stamp = own_stamp(stage(on), GALAXY, raw(on, image, errors, fwhm=1.0))
    assert {tuple(map(int, at)) for at in np.argwhere(stamp["masked"].values)} == {
        (3, 4),
        (5, 6),
        (7, 8),
    }


@pytest.mark.parametrize("shape", ["gaussian", "double_gaussian", "moffat"])
def test_psfs_are_drawn_on_the_stamp_s_pixels(shape):
    psf = psf_on_stamp(Psf(fwhm=1.2, shape=shape), 0.2)
    assert psf.sum() == pytest.approx(1.0)
    assert psf.shape[0] == psf.shape[1]
    assert psf.shape[0] % 2 == 1
    assert np.argmax(psf) == psf.size // 2
    # a pixel of a sixth of the width widens the PSF by 1 %; wings of 0.1 % are cut
    assert image_fwhm(psf) * 0.2 == pytest.approx(Psf(fwhm=1.2, shape=shape).width, rel=0.02)


def test_the_image_of_a_star_is_taken_as_it_is():
    on = grid(0.5, 30)
    star = stars(grid(0.5, 15), fwhm=1.5, positions=[(0.0, 0.0)], fluxes=[7.0])
    stamp = own_stamp(stage(on), GALAXY, raw(on, numbered(on), 1.0, psf=star))
    drawn = stamp["psf"].values
    own = star[(15 - len(drawn)) // 2 :][: len(drawn)]
    own = own[:, (15 - len(drawn)) // 2 :][:, : len(drawn)]
    np.testing.assert_allclose(drawn, own / own.sum(), rtol=1e-6)


def test_a_kernel_is_no_psf():
    on = grid(0.5, 30)
    delivered = raw(on, numbered(on), 1.0, kernel=np.ones((5, 5)))
    with pytest.raises(ConfigError, match=r"kernel to the target.*fwhm or the image of a star"):
        own_stamp(stage(on), GALAXY, delivered)


def test_a_galaxy_outside_is_told():
    on = grid(0.5, 30)
    with pytest.raises(DataError, match="outside its image"):
        own_stamp(stage(on), {**GALAXY, "dec": DEC + 1}, raw(on, numbered(on), 1.0, fwhm=1.0))
