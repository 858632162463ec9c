from io import BytesIO

import matplotlib.pyplot as plt
import pytest
from PIL import Image

from pxdask.core.errors import StoreError
from pxdask.plots.picture import Picture, png_bytes, write_png


def test_a_notebook_is_given_its_png_and_pyplot_knows_nothing_of_it():
    before = plt.get_fignums()
    picture = Picture(figsize=(2, 1), dpi=50)
    image = Image.open(BytesIO(picture._repr_png_()))
    assert (image.format, image.size) == ("PNG", (100, 50))
    assert plt.get_fignums() == before


def test_a_file_tells_what_it_is_about_and_not_what_wrote_it(tmp_path):
    picture = Picture(figsize=(2, 1), dpi=50)
    write_png(tmp_path / "a.png", picture, dpi=80, about="a galaxy")
    image = Image.open(tmp_path / "a.png")
    assert image.size == (160, 80)
    assert image.text == {"Description": "a galaxy"}
    assert Image.open(BytesIO(png_bytes(picture))).text == {}
    assert (tmp_path / "a.png").read_bytes() == png_bytes(picture, dpi=80, about="a galaxy")


def test_a_file_that_cannot_be_written_is_a_store_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot write"):
        write_png(tmp_path / "file" / "a.png", Picture(), dpi=50)
