"""Figures of properties: maps and the main sequence hold the posteriors."""

import numpy as np
import pytest

from pxdask.core.errors import DataError, SchemaError
from pxdask.plots.panels import window
from pxdask.plots.properties import (
    main_sequence_figure,
    maps_figure,
    of_bins,
    property_names,
)
from tests.plots.galaxy import drawn, images, labels, made, radius_of, rest, without_values


@pytest.fixture(scope="module")
def galaxy():
    return made()


def test_maps_are_medians_and_half_intervals(galaxy):
    maps = galaxy["maps"]
    figure = maps_figure(maps, title="g1", names=["av", "logzsol"])
    top_av, top_z, foot_av, _ = images(figure)
    view = window(maps.attrs["wcs"], np.isfinite(maps["av"].values).any(axis=0))
    low, median, high = (view.cut(plane) for plane in maps["av"].values)
    np.testing.assert_allclose(top_av, median)
    np.testing.assert_allclose(foot_av, 0.5 * (high - low), atol=1e-7)
    np.testing.assert_allclose(top_z, view.cut(maps["logzsol"].values[1]))
    text = labels(figure)
    for wanted in (r"$A_V$ [$\mathrm{mag}$]", r"uncertainty [$\mathrm{mag}$]", "offset [arcsec]"):
        assert wanted in text
    assert any("kpc" in note.get_text() for note in figure.axes[0].texts)


def test_by_default_densities_come_first_and_totals_and_twins_are_left_out(galaxy):
    names = property_names(galaxy["maps"])
    assert names[:2] == ["log_mass_density", "log_sfr_density"]
    assert not {"log_mass", "log_sfr", "dust2"} & set(names)
    assert "log_tau" in names
    assert property_names(galaxy["maps"][["log_mass"]]) == ["log_mass"]


def test_density_of_a_bin_is_its_total_over_its_area(galaxy):
    """By hand: the mass of the bin over its pixels, of so many kpc a side."""
    found = of_bins("log_mass_density", **rest(galaxy))
    side = galaxy["maps"].attrs["kpc_per_pixel"]
    n_pix = galaxy["bins"]["n_pix"].values
    wanted = galaxy["fit"]["log_mass"].values.T - np.log10(n_pix * side**2)
    np.testing.assert_allclose(found, wanted, atol=1e-5)  # maps are float32
    np.testing.assert_array_equal(of_bins("av", **rest(galaxy)), galaxy["fit"]["av"].values.T)


def test_density_does_not_follow_pixels_of_negative_flux(galaxy):
    """Where a map follows a band's light, half of it gone leaves the bin's density as it is."""
    changed = {**rest(galaxy), "maps": galaxy["maps"].copy(deep=True)}
    for name in ("log_mass", "log_mass_density"):
        changed["maps"][name].values[:, ::2] = np.nan
        changed["maps"][name].values[:] += 0.3
    np.testing.assert_allclose(
        of_bins("log_mass_density", **changed), of_bins("log_mass_density", **rest(galaxy)),
        atol=1e-5,
    )  # fmt: skip


def test_the_main_sequence_is_of_bins_with_lines_of_equal_specific_rate(galaxy):
    figure = main_sequence_figure(*rest(galaxy).values(), radius_of(galaxy), title="g1")
    axes = figure.axes[0]
    x, y = (of_bins(f"log_{n}_density", **rest(galaxy))[1] for n in ("mass", "sfr"))
    points = axes.collections[-1].get_offsets()
    np.testing.assert_allclose(points, np.stack([x, y], axis=1))
    for line in axes.lines:
        slope = np.diff(line.get_ydata()) / np.diff(line.get_xdata())
        np.testing.assert_allclose(slope, 1.0)
    assert r"\Sigma_\mathrm{SFR}" in axes.get_ylabel()
    assert r"kpc^{-2}" in axes.get_xlabel()
    assert axes.get_xlim()[0] < x.min() < x.max() < axes.get_xlim()[1]
    drawn(figure)


def test_maps_without_values_are_said_to_have_none(galaxy):
    dark = without_values(galaxy)
    figures = [
        maps_figure(dark["maps"], title="", names=["av"]),
        main_sequence_figure(*dark.values(), radius_of(galaxy), title=""),
    ]
    for figure in figures:
        assert "no values" in [text.get_text() for text in figure.axes[0].texts]
        drawn(figure)


def test_one_bin_is_a_point():
    one = made(one_bin=True)
    points = main_sequence_figure(*rest(one).values(), radius_of(one), title="")
    assert len(points.axes[0].collections[-1].get_offsets()) == 1
    drawn(points)


def test_errors_name_what_there_is(galaxy):
    with pytest.raises(DataError, match="no map 'nose'; wanted some of av, "):
        maps_figure(galaxy["maps"], title="", names=["nose"])
    with pytest.raises(SchemaError):
        maps_figure(galaxy["bins"], title="")
    with pytest.raises(DataError, match="no 'nose'"):
        of_bins("nose", **rest(galaxy))
