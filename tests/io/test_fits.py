import bz2
import gc
import gzip
import tracemalloc

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from pxdask.core.errors import DataError
from pxdask.io.fits import (
    image_shape,
    opened_hdus,
    read_cutout,
    read_header,
    read_kernel,
    write_image,
)
from pxdask.io.stores import checksum
from tests.io.images import PIXELS, sky_cards


def header_of(cards):
    header = fits.Header()
    header.update(cards)
    return header


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "a.fits"
    write_image(path, PIXELS, sky_cards())
    header = read_header(path)
    assert (header.hdu, header.shape, header.bunit) == (0, (12, 20), "nJy")
    cutout = read_cutout(path, 0, rows=slice(2, 5), columns=slice(7, 20))
    np.testing.assert_array_equal(cutout, PIXELS[2:5, 7:20])
    assert cutout.dtype.isnative
    assert cutout.dtype == np.float32
    sky = WCS(header.wcs, fix=False).pixel_to_world_values(9.5, 5.5)
    np.testing.assert_allclose(sky, (150.0, 2.0), atol=1e-12)


def test_writing_is_deterministic_and_leaves_nothing_else(tmp_path):
    for name in ("a.fits", "b.fits", "a.fits.gz", "b.fits.gz"):
        write_image(tmp_path / name, PIXELS, sky_cards())
    assert checksum(tmp_path / "a.fits") == checksum(tmp_path / "b.fits")
    assert checksum(tmp_path / "a.fits.gz") == checksum(tmp_path / "b.fits.gz")
    assert (
        gzip.decompress((tmp_path / "a.fits.gz").read_bytes()) == (tmp_path / "a.fits").read_bytes()
    )
    assert len(list(tmp_path.iterdir())) == 4
    write_image(tmp_path / "a.fits", PIXELS + 1, sky_cards())
    assert checksum(tmp_path / "a.fits") != checksum(tmp_path / "b.fits")


@pytest.mark.parametrize("dtype", [">i2", "<i4", ">f8", "u2", "u1"])
@pytest.mark.parametrize("suffix", [".fits", ".fits.gz"])
def test_any_stored_type(tmp_path, dtype, suffix):
    path = tmp_path / f"a{suffix}"
    fits.PrimaryHDU(PIXELS.astype(dtype), header_of(sky_cards())).writeto(path)
    cutout = read_cutout(path, 0, rows=slice(1, 12), columns=slice(0, 3))
    np.testing.assert_array_equal(cutout, PIXELS[1:, :3])
    assert cutout.dtype == np.dtype("=f4")


def test_scaled_integers_and_blanks(tmp_path):
    stored = np.array([[0, 1, -32768], [10, 20, 30]], dtype=">i2")
    hdu = fits.PrimaryHDU(stored)
    hdu.header.update(sky_cards(BLANK=-32768))
    hdu.header["BSCALE"], hdu.header["BZERO"] = 0.5, 100.0
    hdu.writeto(tmp_path / "a.fits")
    with fits.open(tmp_path / "a.fits", do_not_scale_image_data=True) as file:
        assert file[0].header["BZERO"] == 100.0
        assert file[0].data.dtype == ">i2"
        np.testing.assert_array_equal(file[0].data, stored)
    cutout = read_cutout(tmp_path / "a.fits", 0, rows=slice(0, 2), columns=slice(1, 3))
    np.testing.assert_array_equal(cutout, [[100.5, np.nan], [110.0, 115.0]])


def test_compressed_images_and_empty_primaries(tmp_path):
    path = tmp_path / "a.fits.fz"
    image = fits.CompImageHDU(
        PIXELS, header_of(sky_cards()), name="SCI", compression_type="GZIP_2", quantize_level=0
    )
    fits.HDUList([fits.PrimaryHDU(), image]).writeto(path)
    for hdu in (0, 1, "SCI", "sci"):
        header = read_header(path, hdu)
        assert (header.hdu, header.shape, header.bunit) == (1, (12, 20), "nJy")
        cutout = read_cutout(path, hdu, rows=slice(3, 9), columns=slice(4, 6))
        np.testing.assert_array_equal(cutout, PIXELS[3:9, 4:6])
    content = path.read_bytes()
    path.write_bytes(content[: len(content) - 2880 + 50])
    with pytest.raises(DataError, match=r"truncated: HDU 1 ends"):
        read_header(path)
    path.write_bytes(content[: len(content) - 2880 - 100])  # within the header
    with pytest.raises(DataError, match="cut short"):
        read_header(path)


def test_absent_and_foreign_files(tmp_path):
    with pytest.raises(DataError, match=r"no such file: .*none\.fits"):
        read_header(tmp_path / "none.fits")
    (tmp_path / "text.fits").write_text("not FITS\n" * 500)
    with pytest.raises(DataError, match="not a FITS file"):
        read_header(tmp_path / "text.fits")
    (tmp_path / "empty.fits").touch()
    with pytest.raises(DataError, match="not a FITS file"):
        read_header(tmp_path / "empty.fits")


def test_wrong_hdus(tmp_path):
    path = tmp_path / "a.fits"
    table = fits.BinTableHDU.from_columns([fits.Column("n", "J", array=[1])], name="CAT")
    cube = fits.ImageHDU(np.zeros((3, 4, 5)), header_of(sky_cards()), name="CUBE")
    fits.HDUList([fits.PrimaryHDU(), table, cube]).writeto(path)
    with pytest.raises(DataError, match=r"no HDU 'SCI'; it has 0 \(PRIMARY\), 1 \(CAT\), 2"):
        read_header(path, "SCI")
    with pytest.raises(DataError, match="no HDU 7"):
        read_header(path, 7)
    with pytest.raises(DataError, match="is a table"):
        read_header(path, 1)
    with pytest.raises(DataError, match=r"HDU 2.*shape \(3, 4, 5\)"):
        read_header(path, 0)
    fits.PrimaryHDU().writeto(tmp_path / "nothing.fits")
    with pytest.raises(DataError, match="holds no image"):
        read_header(tmp_path / "nothing.fits")


@pytest.mark.parametrize("suffix", [".fits", ".fits.gz"])
def test_truncated_files_tell_both_sizes(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    pixels = np.random.default_rng(1).normal(size=(100, 100)).astype(np.float32)
    write_image(path, pixels, sky_cards())
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    both = r"HDU 0 ends at byte 42880.*holds \d+ bytes" if suffix == ".fits" else "breaks off after"
    with pytest.raises(DataError, match=f"truncated: .*{both}"):
        read_header(path)
    with pytest.raises(DataError, match="truncated"):
        read_cutout(path, 0, rows=slice(0, 2), columns=slice(0, 2))


def test_missing_padding_is_no_truncation(tmp_path):
    path = tmp_path / "a.fits"
    write_image(path, PIXELS, sky_cards())
    path.write_bytes(path.read_bytes()[: 2880 + PIXELS.nbytes])
    assert read_header(path).shape == (12, 20)


def test_several_gzip_members(tmp_path):
    write_image(tmp_path / "a.fits", PIXELS, sky_cards())
    content = (tmp_path / "a.fits").read_bytes()
    (tmp_path / "a.fits.gz").write_bytes(
        gzip.compress(content[:2880]) + gzip.compress(content[2880:])
    )
    assert read_header(tmp_path / "a.fits.gz").shape == (12, 20)


def test_images_without_sky_coordinates(tmp_path):
    write_image(tmp_path / "a.fits", PIXELS, {"BUNIT": "nJy"})
    with pytest.raises(DataError, match=r"no celestial WCS.*absent"):
        read_header(tmp_path / "a.fits")
    np.testing.assert_array_equal(read_kernel(tmp_path / "a.fits"), PIXELS)
    assert image_shape(tmp_path / "a.fits") == (12, 20)


def test_old_spellings_are_read_quietly(tmp_path):
    cards = sky_cards(RADECSYS="FK5", EQUINOX=2000.0)
    cards["DATE-OBS"] = "11/03/98"
    write_image(tmp_path / "a.fits", PIXELS, cards)
    assert "FK5" in read_header(tmp_path / "a.fits").wcs


def test_disagreeing_matrices_are_noted_and_pc_wins(tmp_path):
    cards = sky_cards(PC1_1=0.6, PC1_2=-0.8, PC2_1=0.8, PC2_2=0.6)
    agreeing = {"CD1_1": -0.6e-4, "CD1_2": 0.8e-4, "CD2_1": 0.8e-4, "CD2_2": 0.6e-4}
    write_image(tmp_path / "good.fits", PIXELS, {**cards, **agreeing})
    good = read_header(tmp_path / "good.fits")
    assert good.note == ""
    write_image(tmp_path / "stale.fits", PIXELS, {**cards, "CD1_1": -1e-4, "CD2_2": 1e-4})
    stale = read_header(tmp_path / "stale.fits")
    assert "PC is used" in stale.note
    np.testing.assert_allclose(
        WCS(stale.wcs, fix=False).pixel_to_world_values(0, 0),
        WCS(good.wcs, fix=False).pixel_to_world_values(0, 0),
        atol=1e-12,
    )


def test_cutouts_must_lie_inside(tmp_path):
    write_image(tmp_path / "a.fits", PIXELS, sky_cards())
    with pytest.raises(DataError, match=r"0:13.*reach outside.*\(12, 20\)"):
        read_cutout(tmp_path / "a.fits", 0, rows=slice(0, 13), columns=slice(0, 2))
    with pytest.raises(DataError, match="empty"):
        read_cutout(tmp_path / "a.fits", 0, rows=slice(5, 5), columns=slice(0, 2))


def test_keywords_come_from_the_image_or_else_the_primary(tmp_path):
    primary = fits.PrimaryHDU()
    primary.header["EXPTIME"] = 100.0
    primary.header["PHOTFLAM"] = 2.0
    image = fits.ImageHDU(PIXELS, header_of(sky_cards(PHOTFLAM=1e-19, PHOTSYS="VEGA")), name="SCI")
    fits.HDUList([primary, image]).writeto(tmp_path / "a.fits")
    names = ("EXPTIME", "PHOTFLAM", "PHOTSYS", "ABSENT")
    header = read_header(tmp_path / "a.fits", "SCI", keywords=names)
    assert header.keywords == {"EXPTIME": 100.0, "PHOTFLAM": 1e-19, "PHOTSYS": "VEGA"}
    assert read_header(tmp_path / "a.fits").keywords == {}


def test_bzip2_as_sdss_delivers_it(tmp_path):
    write_image(tmp_path / "a.fits", PIXELS, sky_cards())
    packed = bz2.compress((tmp_path / "a.fits").read_bytes())
    path = tmp_path / "a.fits.bz2"
    path.write_bytes(packed)
    assert read_header(path).shape == (12, 20)
    cutout = read_cutout(path, 0, rows=slice(3, 9), columns=slice(4, 6))
    np.testing.assert_array_equal(cutout, PIXELS[3:9, 4:6])
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(DataError, match=r"truncated|damaged"):
        read_header(path)


def test_scaled_integers_in_a_compressed_extension(tmp_path):
    stored = np.arange(240, dtype=">i2").reshape(12, 20)
    image = fits.CompImageHDU(stored, header_of(sky_cards()), name="SCI", compression_type="RICE_1")
    image.header["BSCALE"], image.header["BZERO"] = 0.5, 100.0
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.ones(3)), image]).writeto(
        tmp_path / "a.fits.fz"
    )
    cutout = read_cutout(tmp_path / "a.fits.fz", "SCI", rows=slice(2, 4), columns=slice(1, 3))
    np.testing.assert_array_equal(cutout, 100 + 0.5 * stored[2:4, 1:3].astype(float))
    assert cutout.dtype == np.float32


def test_what_was_read_is_let_go_while_the_file_stays_open(tmp_path):
    plane = np.ones((512, 1024), np.float32)
    rows = fits.BinTableHDU.from_columns([fits.Column("a", "E", array=plane.ravel())])
    plain = [fits.PrimaryHDU(plane), fits.ImageHDU(plane), rows]
    fits.HDUList(plain).writeto(tmp_path / "plain.fits")
    packed = [fits.PrimaryHDU(), fits.CompImageHDU(plane)]
    fits.HDUList(packed).writeto(tmp_path / "packed.fits")
    for name in ("plain.fits", "packed.fits"):
        for _ in range(2):  # again from a file that is open
            tracemalloc.start()
            with opened_hdus(tmp_path / name) as hdus:
                sizes = [hdu.data.size for hdu in hdus if hdu.data is not None]
            gc.collect()
            held, _ = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert set(sizes) == {plane.size}
            assert held < plane.nbytes / 4


def test_nothing_is_let_go_of_what_was_taken(tmp_path):
    write_image(tmp_path / "a.fits", np.arange(6.0).reshape(2, 3), {})
    with opened_hdus(tmp_path / "a.fits") as hdus:
        taken = hdus[0].data
    np.testing.assert_array_equal(taken, [[0, 1, 2], [3, 4, 5]])
