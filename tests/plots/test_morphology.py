import numpy as np
import pytest

from pxdask.core.flags import Flag
from pxdask.plots.morphology import PER_ROW, profiles_figure, write_profiles
from tests.morphology.standins import profiles


def axes_named(figure, text):
    return [axes for axes in figure.axes if text in axes.get_title()]


def test_each_band_has_data_model_and_residual():
    figure = profiles_figure(profiles(), title="g1")
    assert len(figure.axes) == 3 * 3 + 4
    assert [axes.get_title() for axes in figure.axes[:9:3]] == ["g", "r", "i"]
    data = figure.axes[0].images[0].get_array()
    assert data.mask[2, 3]
    residual = figure.axes[5].images[0].get_array()
    one = profiles().isel(band=1)
    wanted = (one["data"] - one["model"]).values / one["error"].values
    np.testing.assert_allclose(residual.filled(np.nan), wanted, rtol=1e-5)


def test_margins_of_small_stamps_are_not_drawn():
    figure = profiles_figure(profiles(), title="g1")
    assert figure.axes[6].images[0].get_array().shape == (8, 8)


def test_shapes_have_bands_and_the_smooth_function():
    figure = profiles_figure(profiles(), title="g1")
    (size,) = axes_named(figure, "arcsec")
    points = size.containers[0].lines[0].get_xydata()
    np.testing.assert_allclose(points[:, 1], [2.0, 2.2, 2.4])
    np.testing.assert_allclose(points[:, 0], [0.47, 0.61, 0.75])
    assert len(size.lines) >= 2  # the function, and the points
    (angle,) = axes_named(figure, "deg")
    assert len(angle.lines) == len(size.lines) - 1  # a constant has no function


def test_a_point_has_no_room_for_shapes():
    whole = profiles()
    point = whole[["data", "error", "model", "pixel_scale", "chi2", "n_steps", "flags"]]
    figure, other = (profiles_figure(each, title="g1") for each in (point, whole))
    assert len(figure.axes) == 3 * 3
    lowest = min(axes.get_position().y0 for axes in figure.axes) * figure.get_figheight()
    assert lowest < 0.6  # inches: what labels need
    assert figure.get_figheight() < other.get_figheight() - 2


def test_many_bands_go_into_rows():
    names = tuple(f"b{i}" for i in range(PER_ROW + 2))
    figure = profiles_figure(profiles(bands=names, sides=(6,) * len(names)), title="g1")
    assert len(figure.axes) == 3 * len(names) + 4


@pytest.mark.parametrize("bands", [("g",), ("g", "r")])
def test_few_bands_are_drawn_too(bands, tmp_path):
    write_profiles(
        tmp_path / "p.png", profiles=profiles(bands=bands, sides=(9,) * len(bands)), title="g1"
    )
    assert (tmp_path / "p.png").stat().st_size > 5000


def test_what_is_wrong_is_said():
    bad = profiles(flags=int(Flag.OFF_CENTRE | Flag.BAD_CHI2))
    figure = profiles_figure(bad, title="g1")
    words = " ".join(text.get_text() for text in figure.texts)
    assert "off_centre" in words
    assert "bad_chi2" in words


def test_a_fit_without_a_posterior_and_a_band_without_data_are_drawn(tmp_path):
    empty = profiles()
    for name in ("r_eff", "n", "ellip", "theta", "r_eff_curve"):
        empty[name].values[:] = np.nan
    for name in ("data", "error"):
        empty[name].values[1] = np.nan
    write_profiles(tmp_path / "p.png", profiles=empty, title="g1")
    assert (tmp_path / "p.png").is_file()


def test_equal_content_gives_equal_bytes(tmp_path):
    for name in ("a", "b"):
        write_profiles(tmp_path / f"{name}.png", profiles=profiles(), title="g1", about="{}")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
