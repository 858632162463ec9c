"""The style of figures: labels with units, colours in order, files whole or not at all."""

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from pxdask.core.errors import ConfigError
from pxdask.plots.style import (
    PALETTE,
    SYMBOLS,
    band_colours,
    canvas,
    grid_of,
    label_of,
    map_grid,
    shades,
    styled,
    title_of,
    unit_text,
    write_figure,
)
from pxdask.sps.parameters import PARAMETERS


@pytest.mark.parametrize(
    ("unit", "text"),
    [
        ("", ""),
        ("dex", r"$\mathrm{dex}$"),
        ("mag", r"$\mathrm{mag}$"),
        ("dex(Msun / kpc2)", r"$\mathrm{M_{\odot}\,kpc^{-2}}$"),
        ("dex(Gyr)", r"$\mathrm{Gyr}$"),
        ("1e-17 erg s-1 cm-2", r"$\mathrm{10^{-17}\,erg\,s^{-1}\,cm^{-2}}$"),
        ("counts per fortnight", "counts per fortnight"),
    ],
)
def test_units_are_written_as_of_the_argument_of_a_logarithm(unit, text):
    assert unit_text(unit) == text


def test_labels_hold_symbol_and_unit():
    label = label_of("log_sfr_density", {"units": "dex(Msun / (yr kpc2))"})
    assert label == r"$\log\,\Sigma_\mathrm{SFR}$ [$\mathrm{M_{\odot}\,yr^{-1}\,kpc^{-2}}$]"
    assert label_of("my_own", {"units": ""}) == "my own"
    assert label_of("my_own", {}) == "my own"


def test_every_parameter_has_a_symbol():
    assert PARAMETERS.keys() <= SYMBOLS.keys()


def test_titles_say_galaxy_and_redshift():
    assert title_of("g1", 0.123456, "bin 3") == "g1,   z = 0.1235,   bin 3"
    assert title_of("g1", None) == title_of("g1", np.nan) == "g1"


def _luminance(colour):
    red, green, blue = to_rgb(colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@given(n=st.integers(1, 30))
def test_ordered_colours_get_lighter_and_stay_visible(n):
    """So they are told apart in print, and in every form of colour vision."""
    for colours in (shades(n), shades(n, cmap="cividis"), band_colours(n)):
        light = [_luminance(colour) for colour in colours]
        assert len(colours) == n
        assert np.all(np.diff(light) > 0)
        assert max(light) < 0.85


def test_palette_has_no_two_colours_alike():
    rgb = np.array([to_rgb(colour) for colour in PALETTE])
    apart = np.abs(rgb[:, None] - rgb).sum(axis=2)[~np.eye(len(PALETTE), dtype=bool)]
    assert apart.min() > 0.25


@given(n=st.integers(1, 60), widest=st.integers(1, 6))
def test_grids_hold_all_panels_and_waste_no_row(n, widest):
    rows, columns = grid_of(n, widest=widest)
    assert rows * columns >= n > (rows - 1) * columns
    assert columns <= widest


def test_grids_are_full_where_they_can_be():
    assert grid_of(12) == (3, 4)
    assert grid_of(1) == (1, 1)
    assert grid_of(8) == (2, 4)


def test_style_is_given_back():
    before = dict(mpl.rcParams)
    with styled():
        assert mpl.rcParams["axes.linewidth"] == 0.5
    assert dict(mpl.rcParams) == before


def test_panels_of_maps_do_not_touch_each_other_nor_the_title():
    figure, panels = map_grid(2, 3, title="g")
    boxes = [axes.get_position() for row in panels for axes in row]
    assert boxes[0].x1 < boxes[1].x0
    assert boxes[3].y1 < boxes[0].y0
    assert boxes[0].y1 < 1 - 0.25 / figure.get_size_inches()[1]


@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg"])
def test_files_have_equal_bytes_and_are_not_overwritten_unasked(tmp_path, suffix):
    def figure():
        with styled():
            made = canvas(width=3, height=2, title="g1")
            made.add_subplot().plot([1, 2], [3, 4])
        return made

    one, other = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    assert write_figure(one, figure()) == one
    write_figure(other, figure())
    assert one.read_bytes() == other.read_bytes()
    with pytest.raises(ConfigError, match=rf"a\{suffix} exists"):
        write_figure(one, figure())
    one.write_text("")
    write_figure(one, figure(), overwrite=True)
    assert one.read_bytes() == other.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == [one.name, other.name]


def test_other_kinds_of_files_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"wanted a name that ends in \.png"):
        write_figure(tmp_path / "a.gif", Figure())
