import struct

import numpy as np
import pytest
from matplotlib import pyplot as plt

from pxdask.core.config import FitConfig
from pxdask.core.errors import StoreError
from pxdask.fitting import FitStage, MapStage
from pxdask.plots import summary_figure, write_summary
from pxdask.plots.panels import colour_image, window
from pxdask.testing import digest, fake_galaxy, library_of


def parts(*, blank=False, one_bin=False, dark=False, **kwargs):
    galaxy = fake_galaxy(rng=np.random.default_rng(6), n_model=60, **{"n_pixel": 16} | kwargs)
    cube, bins = galaxy.cube.copy(deep=True), galaxy.bins.copy(deep=True)
    if one_bin:
        bins = bins.isel(bin=slice(1))
        bins["bin_map"].values[:] = np.where(bins["bin_map"] >= 0, 0, -1)
        bins["n_pix"].values[:] = np.sum(bins["bin_map"] == 0)
    if dark:
        bins["flux"].values[:] = np.nan
        cube["flux"].values[:] = np.nan
    fit = FitStage(FitConfig(), lambda _: library_of(galaxy.models), {}, 0, 999).run(
        galaxy.row, bins=bins
    )
    maps = MapStage().run(galaxy.row, cube=cube, bins=bins, fit=fit)
    if blank:
        for name in maps.data_vars:
            maps[name].values[:] = np.nan
    return {"maps": maps, "cube": cube, "bins": bins, "fit": fit}


def labels(figure):
    """Text of every colour bar, title and axis."""
    axes = [each for ax in figure.axes for each in (ax, *ax.child_axes)]
    found = [f(each) for each in axes for f in (type(each).get_ylabel, type(each).get_xlabel)]
    found += [each.get_title(loc=loc) for each in axes for loc in ("left", "center")]
    return " | ".join(found)


def test_every_panel_is_there_with_its_unit():
    figure = summary_figure(**parts(), title="fake-1")
    assert len(figure.axes) == 12  # eight of the sky, two SEDs with residuals
    text = labels(figure)
    for wanted in (r"\Sigma_\star", r"\Sigma_\mathrm{SFR}", "age [Gyr]", r"\odot", "A_V", "S/N",
                   "arcsec", "mu", "A: bin", "B: bin"):  # fmt: skip
        assert wanted in text
    assert any("kpc" in note.get_text() for note in figure.axes[0].texts)
    assert figure.get_suptitle() == "fake-1"


def test_maps_are_shown_with_their_own_values():
    data = parts()
    figure = summary_figure(**data, title="")
    image = figure.axes[7].images[0].get_array()
    want = data["maps"]["av"].sel(quantile=0.5).values
    np.testing.assert_allclose(image.compressed(), want[np.isfinite(want)])


@pytest.mark.parametrize(
    "case",
    [
        {"n_band": 1},
        {"n_band": 2},
        {"one_bin": True},
        {"n_band": 1, "one_bin": True},
        {"blank": True},
        {"dark": True},
        {"snr": 0.1},
        {"n_pixel": 1, "n_band": 1},
    ],
)
def test_poor_galaxies_have_a_figure_too(case, tmp_path):
    write_summary(tmp_path / "poor.png", **parts(**case), title="poor")
    assert (tmp_path / "poor.png").stat().st_size > 20_000


def test_bytes_are_equal_and_inputs_untouched(tmp_path):
    data = parts()
    before = {name: digest(ds) for name, ds in data.items()}
    for name in ("a.png", "b.png"):
        write_summary(tmp_path / name, **data, title="fake-1")
    one, other = ((tmp_path / name).read_bytes() for name in ("a.png", "b.png"))
    assert one == other
    assert one[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", one[16:24]) == (1870, 1342)
    assert {name: digest(ds) for name, ds in data.items()} == before
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.png", "b.png"]


def test_pyplot_is_not_touched(tmp_path):
    before = plt.get_fignums()
    write_summary(tmp_path / "a.png", **parts(), title="fake-1")
    assert plt.get_fignums() == before


def test_a_folder_that_cannot_be_made_is_a_store_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot write"):
        write_summary(tmp_path / "file" / "a.png", **parts(), title="")


def test_the_window_knows_north_and_east():
    cube = parts()["cube"]
    view = window(cube.attrs["wcs"], cube["region"].values)
    assert view.pixel == pytest.approx(1.5, rel=1e-6)
    np.testing.assert_allclose(view.north, [0, 1], atol=1e-3)
    np.testing.assert_allclose(view.east, [-1, 0], atol=1e-3)  # east is left


def test_equal_light_is_white():
    ramp = np.linspace(0, 1, 25).reshape(5, 5)
    flux = ramp * np.array([3.0, 1.0, 7.0])[:, None, None]
    image = colour_image(flux, np.full(flux.shape, 0.01), np.ones((5, 5), bool))
    np.testing.assert_allclose(image[..., 0], image[..., 1], atol=1e-12)
    np.testing.assert_allclose(image[..., 0], image[..., 2], atol=1e-12)
    assert image.min() == 0
    assert image.max() == 1


def test_a_band_without_light_makes_no_colour():
    assert colour_image(np.zeros((3, 2, 2)), np.ones((3, 2, 2)), np.ones((2, 2), bool)) is None
