import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from pxdask.core.errors import StoreError
from pxdask.io.extensions import card_text, write_extensions
from pxdask.simulate.ifs_files import Extension

CUBE = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
HDUS = [
    Extension("", None, {"OBJECT": "ngc1"}),
    Extension("FLUX", CUBE, {"BUNIT": "mJy"}),
    Extension("MASK", np.array([[1, 1024]], dtype=np.int32), {}),
]


@pytest.mark.parametrize("name", ["cube.fits", "cube.fits.gz"])
def test_hdus_come_back(tmp_path, name):
    write_extensions(tmp_path / name, HDUS)
    with fits.open(tmp_path / name) as hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "FLUX", "MASK"]
        assert hdus[0].header["OBJECT"] == "ngc1"
        assert hdus[1].header["BUNIT"] == "mJy"
        assert np.array_equal(hdus[1].data, CUBE)
        assert hdus[2].data.tolist() == [[1, 1024]]
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_equal_arguments_give_equal_bytes(tmp_path):
    for name in ("a.fits.gz", "b.fits.gz"):
        write_extensions(tmp_path / name, HDUS)
    assert (tmp_path / "a.fits.gz").read_bytes() == (tmp_path / "b.fits.gz").read_bytes()


def test_nothing_is_left_of_a_failure(tmp_path):
    def broken():
        yield HDUS[0]
        raise OSError("disk full")

    with pytest.raises(StoreError, match="disk full"):
        write_extensions(tmp_path / "cube.fits", broken())
    assert not list(tmp_path.iterdir())


@given(st.text())
def test_any_text_can_be_a_card(text):
    header = fits.Header()
    header["OBJECT"] = card_text(text)[:60]
    assert card_text("ngc 1 \\ [Å]\t") == "ngc 1 \\ [\\xc5]\\t"
    assert all(" " <= letter <= "~" for letter in card_text(text))
