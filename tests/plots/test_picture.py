from io import BytesIO

import matplotlib.pyplot as plt
from PIL import Image

from pxdask.plots.picture import Picture


def test_a_notebook_is_given_its_png_and_pyplot_knows_nothing_of_it():
    before = plt.get_fignums()
    picture = Picture(figsize=(2, 1), dpi=50)
    image = Image.open(BytesIO(picture._repr_png_()))
    assert (image.format, image.size) == ("PNG", (100, 50))
    assert plt.get_fignums() == before
