"""Figures of transmission curves."""

import struct

import numpy as np
import pytest
from matplotlib import pyplot as plt

from pxdask.core.bandpass import Filter
from pxdask.core.errors import StoreError
from pxdask.plots.filters import filter_figure, write_filter_figure


def box(name, low, high, detector="photon"):
    wave = np.array([0.1 * low, low, low, high, high, 3 * high])
    return Filter(name, wave + np.arange(6.0), np.array([0, 1e-4, 0.5, 0.5, 1e-4, 0]), detector)


BANDS = (box("red", 6000, 7000), box("blue", 4000, 5000), box("cold", 2e6, 3e6, "energy"))


def test_curves_are_ordered_by_wavelength_and_have_their_peak_at_one():
    figure = filter_figure(BANDS)
    (axes,) = figure.axes
    lines = [line for line in axes.lines if line.get_label()[0] != "_"]
    assert [line.get_label().split()[0] for line in lines] == ["blue", "red", "cold"]
    assert [line.get_linestyle() for line in lines] == ["-", "-", "--"]
    assert [line.get_ydata().max() for line in lines] == [1, 1, 1]
    assert axes.get_xscale() == "log"
    assert r"\mu$m" in axes.get_xlabel()
    (legend,) = figure.legends
    assert legend.get_texts()[0].get_text() == "blue  0.4495"


def test_faint_leaks_do_not_squeeze_the_band():
    (axes,) = filter_figure(BANDS[:1]).axes
    low, high = axes.get_xlim()
    assert axes.get_xscale() == "linear"
    # the box from 0.6 to 0.7 micron, a margin; its tails reach from 0.06 to 2.1
    assert 0.59 < low < 0.6
    assert 0.7 < high < 0.71


def test_one_curve_of_two_points():
    filter_figure([Filter("two", np.array([4000.0, 5000]), np.array([1.0, 1]))])


@pytest.mark.parametrize("n", [1, 12, 13, 40])
def test_any_number_of_curves_has_a_legend(n):
    bands = [box(f"b{i}", 3000 + 900 * i, 3500 + 900 * i) for i in range(n)]
    (legend,) = filter_figure(bands).legends
    assert len(legend.get_texts()) == n


def test_the_file_is_a_png_with_equal_bytes_for_equal_curves(tmp_path):
    one, other = tmp_path / "a" / "one.png", tmp_path / "other.png"
    write_filter_figure(one, BANDS)
    write_filter_figure(other, BANDS)
    head = one.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", head[16:])[0] == 1300
    assert one.read_bytes() == other.read_bytes()
    assert plt.get_fignums() == []


def test_a_file_that_cannot_be_written_is_a_store_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot write"):
        write_filter_figure(tmp_path / "file" / "x.png", BANDS)
