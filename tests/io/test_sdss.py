"""Calibration and sky of SDSS frames, interpolated as the data model says."""

import numpy as np
import pytest
from astropy.io import fits

from pxdask.core.errors import DataError
from pxdask.io.sdss import frame_planes
from tests.io.images import sky_cards

SHAPE = (12, 20)


def write_frame(path, *, allsky=None, columns=20):
    """A frame whose sky is on a grid three times as coarse."""
    ny, nx = SHAPE
    coarse = np.add.outer(np.arange(4.0), 10 * np.arange(7.0)) if allsky is None else allsky
    table = fits.BinTableHDU.from_columns(
        [
            fits.Column(
                "ALLSKY", f"{coarse.size}E", dim=str(coarse.shape[::-1]), array=coarse[None]
            ),
            fits.Column("XINTERP", f"{nx}E", array=(np.arange(nx) / 3.0)[None]),
            fits.Column("YINTERP", f"{ny}E", array=(np.arange(ny) / 3.0)[None]),
        ]
    )
    primary = fits.PrimaryHDU(np.ones(SHAPE, "f4"))
    for name, value in {**sky_cards(BUNIT="nanomaggy"), "CAMCOL": 3, "RUN": 2000}.items():
        primary.header[name] = value
    calibration = fits.ImageHDU(np.linspace(0.004, 0.006, columns).astype("f4"))
    fits.HDUList([primary, calibration, table]).writeto(path)


@pytest.mark.parametrize("suffix", [".fits", ".fits.bz2"])
def test_planes_of_a_cutout(tmp_path, suffix):
    path = tmp_path / f"frame{suffix}"
    write_frame(path)
    planes = frame_planes(path, rows=slice(2, 8), columns=slice(3, 10))
    expected = np.linspace(0.004, 0.006, 20)[3:10]
    np.testing.assert_allclose(planes["calibration"], np.tile(expected, (6, 1)), rtol=1e-6)
    # the coarse sky is y + 10 x, which linear interpolation keeps
    y, x = np.mgrid[2:8, 3:10] / 3.0
    np.testing.assert_allclose(planes["sky"], y + 10 * x, rtol=1e-5)


def test_the_sky_is_constant_beyond_its_grid(tmp_path):
    write_frame(tmp_path / "frame.fits", allsky=np.array([[1.0, 2.0], [3.0, 4.0]]))
    planes = frame_planes(tmp_path / "frame.fits", rows=slice(0, 12), columns=slice(0, 20))
    assert planes["sky"][-1, -1] == 4.0


def test_cutouts_and_short_vectors_are_refused(tmp_path):
    fits.PrimaryHDU(np.ones(SHAPE)).writeto(tmp_path / "cut.fits")
    part = {"rows": slice(0, 2), "columns": slice(0, 2)}
    with pytest.raises(DataError, match=r"cut\.fits has 1 HDUs.*HDU 1 and 2"):
        frame_planes(tmp_path / "cut.fits", **part)
    images = [
        fits.PrimaryHDU(np.ones(SHAPE)),
        fits.ImageHDU(np.ones(20)),
        fits.ImageHDU(np.ones(3)),
    ]
    fits.HDUList(images).writeto(tmp_path / "image.fits")
    with pytest.raises(DataError, match="no columns ALLSKY"):
        frame_planes(tmp_path / "image.fits", **part)
    write_frame(tmp_path / "short.fits", columns=5)
    with pytest.raises(DataError, match="shorter than the frame's 20 columns"):
        frame_planes(tmp_path / "short.fits", rows=slice(0, 2), columns=slice(0, 20))
