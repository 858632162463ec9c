import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgb

from pxdask.core.errors import SchemaError, StoreError
from pxdask.core.flags import Flag
from pxdask.core.schema import BINS
from pxdask.plots.bins import COLOURS, bins_figure, neighbour_colours, write_bins_figure
from pxdask.testing import digest, fake_galaxy


def bins_of(*, n_band=3, demand=5.0, limiting=None, n_pixel=16, wcs=True):
    bins = fake_galaxy(rng=np.random.default_rng(1), n_model=2, n_pixel=n_pixel, n_band=n_band).bins
    n_bin = bins.sizes["bin"]
    if limiting is None:
        limiting = np.arange(n_bin) % n_band
    snr = bins["flux"].values / bins["flux_err"].values
    values = {
        "snr": snr,
        "limiting_band": np.full(n_bin, limiting, dtype=np.int32),
        "compactness": np.linspace(0.3, 1, n_bin),
        "n_pieces": np.ones(n_bin, np.int32),
        "sed_chi2": np.where(np.arange(n_bin) == 0, np.nan, 1.0 + np.arange(n_bin)),
        "flags": np.where(snr < demand, int(Flag.LOW_SNR), 0).astype(np.uint16),
    }
    bins = bins.assign(
        {name: (BINS.variables[name].dims, v, BINS.attrs(name)) for name, v in values.items()}
    )
    wcs_text = "CTYPE1  = 'RA---TAN'" + " " * 60 + "CTYPE2  = 'DEC--TAN'" + " " * 60
    attrs = {"settings": json.dumps({"snr": demand})}
    attrs |= {"wcs": bins.attrs.get("wcs", wcs_text)} if wcs else {}
    return BINS.validate(bins.assign_attrs(attrs))


def texts(figure):
    axes = [each for ax in figure.axes for each in (ax, *ax.child_axes)]
    found = [ax.get_title(loc=loc) for ax in axes for loc in ("left", "center")]
    found += [text for ax in axes for text in (ax.get_xlabel(), ax.get_ylabel())]
    found += [label.get_text() for ax in axes for label in ax.get_yticklabels()]
    return " | ".join(found)


def test_every_panel_is_there():
    bins = bins_of()
    figure = bins_figure(bins, title="fake")
    text = texts(figure)
    low = int(np.any(bins["flags"].values > 0, axis=1).sum())
    for wanted in (f"{bins.sizes['bin']} bins", "limiting band", "compactness", "chi", "offset [",
                   "S/N", f"{low} of {bins.sizes['bin']} bins", "≥ 5"):  # fmt: skip
        assert wanted in text
    assert figure.get_suptitle() == "fake"


def test_maps_and_counts_have_the_values():
    bins = bins_of()
    figure = bins_figure(bins, title="")
    shown = figure.axes[2].images[0].get_array().compressed()
    inside = bins["bin_map"].values >= 0
    want = bins["compactness"].values[bins["bin_map"].values[inside]]
    np.testing.assert_allclose(np.sort(shown), np.sort(want))
    bars = next(ax for ax in figure.axes if ax.get_xlabel() == "bins").patches
    order = np.argsort(bins["pivot_wave"].values)
    want = np.bincount(bins["limiting_band"].values, minlength=3)[order]
    assert [bar.get_width() for bar in bars] == list(want)


@pytest.mark.parametrize(
    "case",
    [{"n_band": 1}, {"limiting": -1, "demand": 0.0}, {"n_pixel": 1}, {"wcs": False}],
)
def test_poor_bins_have_a_figure_too(case, tmp_path):
    bins = bins_of(**case)
    write_bins_figure(tmp_path / "a.png", bins, title="poor")
    assert (tmp_path / "a.png").stat().st_size > 20_000
    dark = bins.copy(deep=True)
    dark["snr"].values[:] = np.nan
    dark["sed_chi2"].values[:] = np.nan
    write_bins_figure(tmp_path / "b.png", dark, title="dark")


def test_without_coordinates_offsets_are_pixels():
    assert "offset [pix]" in texts(bins_figure(bins_of(wcs=False), title=""))


def test_bytes_are_equal_inputs_and_pyplot_untouched(tmp_path):
    bins = bins_of()
    before = digest(bins), plt.get_fignums()
    for name in ("a.png", "b.png"):
        write_bins_figure(tmp_path / name, bins, title="x")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (digest(bins), plt.get_fignums()) == before


def test_faults_are_named(tmp_path):
    with pytest.raises(SchemaError, match="the bins lack compactness"):
        bins_figure(bins_of().drop_vars("compactness"), title="")
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot write"):
        write_bins_figure(tmp_path / "file" / "a.png", bins_of(), title="")


def touching(bin_map):
    """Pairs of bins that touch, by looking at each pixel's neighbours."""
    ny, nx = bin_map.shape
    return {
        (int(bin_map[y, x]), int(bin_map[j, i]))
        for y in range(ny)
        for x in range(nx)
        for j in range(max(0, y - 1), min(ny, y + 2))
        for i in range(max(0, x - 1), min(nx, x + 2))
        if min(bin_map[y, x], bin_map[j, i]) >= 0 and bin_map[y, x] != bin_map[j, i]
    }


@given(arrays(np.int32, (5, 6), elements=st.integers(-1, 6)))
def test_neighbours_differ_in_colour(bin_map):
    colour = neighbour_colours(bin_map, n_colour=7)  # as many as bins: always enough
    assert all(colour[a] != colour[b] for a, b in touching(bin_map))


def test_our_colours_suffice_for_blocks_and_are_all_used():
    y, x = np.indices((60, 60))
    bin_map = (y // 4) * 15 + (x + 2 * (y // 4 % 2)) // 4
    colour = neighbour_colours(bin_map, n_colour=len(COLOURS))
    assert all(colour[a] != colour[b] for a, b in touching(bin_map))
    assert set(colour) == set(range(len(COLOURS)))
    assert neighbour_colours(np.full((2, 2), -1), n_colour=3).shape == (0,)
    # Too few colours for four bins that all touch: one is used twice, none is missing.
    assert sorted(np.bincount(neighbour_colours(np.array([[0, 1], [2, 3]]), n_colour=3))) == [
        1,
        1,
        2,
    ]


def test_colours_differ_in_lightness_or_hue():
    rgb = np.array([to_rgb(colour) for colour in COLOURS])
    apart = np.abs(rgb[:, None] - rgb).sum(axis=2)[~np.eye(len(COLOURS), dtype=bool)]
    assert apart.min() > 0.3
