"""Figures of properties: maps, profiles and the main sequence hold the posteriors."""

import numpy as np
import pytest
import xarray as xr

from pxdask.core.errors import DataError, SchemaError
from pxdask.core.flags import flag_attrs
from pxdask.core.schema import QUANTILES, RADIAL
from pxdask.plots.panels import window
from pxdask.plots.properties import (
    main_sequence_figure,
    maps_figure,
    of_bins,
    profile_names,
    property_names,
    radial_figure,
    radial_profiles_figure,
)
from tests.plots.galaxy import drawn, images, labels, made

SCALE = {"width": 3.0, "kpc_per_arcsec": 0.4}


@pytest.fixture(scope="module")
def galaxy():
    return made()


def radius_of(galaxy):
    shape = galaxy["bins"]["bin_map"].shape
    y, x = np.indices(shape) - 0.5 * (np.array(shape)[:, None, None] - 1)
    return 1.5 * np.hypot(y, x)


def rest(galaxy):
    return {name: galaxy[name] for name in ("maps", "bins", "fit")}


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


def test_profiles_are_medians_of_rings_and_points_are_bins(galaxy):
    radius, bin_map = radius_of(galaxy), galaxy["bins"]["bin_map"].values
    figure = radial_figure(
        *rest(galaxy).values(), radius, title="g1", names=["av", "log_mass_density"], **SCALE
    )
    axes = figure.axes[0]
    points = axes.collections[1].get_offsets()
    at = [radius[bin_map == i].mean() for i in range(galaxy["bins"].sizes["bin"])]
    np.testing.assert_allclose(points[:, 0], at)
    np.testing.assert_allclose(points[:, 1], galaxy["fit"]["av"].values[:, 1])
    painted = galaxy["fit"]["av"].values[:, 1][bin_map]
    (line,) = [one for one in axes.lines if one.get_linewidth() == 1.6]
    ring = (bin_map >= 0) & (radius >= 3.0) & (radius < 6.0)
    first = int(np.argmin(np.abs(line.get_xdata() - radius[ring].mean())))
    assert line.get_xdata()[first] == pytest.approx(radius[ring].mean())
    assert line.get_ydata()[first] == pytest.approx(np.median(painted[ring]))
    text = labels(figure)
    for wanted in ("semi-major axis [arcsec]", "semi-major axis [kpc]", r"kpc^{-2}", r"$A_V$"):
        assert wanted in text
    (legend,) = figure.legends
    assert "68 % of the ring's pixels" in [entry.get_text() for entry in legend.texts]
    assert [band.get_hatch() for band in axes.collections if band.get_hatch()] == ["////"]
    drawn(figure)


def profiles_of(values):
    """A radial/1 of two properties, whose last ring is empty."""
    rows = np.append(np.asarray(values), np.nan)[:, None] + np.array([-0.1, 0.0, 0.1])
    n_ring = len(rows)
    radius = 0.25 + 0.5 * np.arange(n_ring)
    of = {
        "radius": radius,
        "radius_arcsec": 2.0 * radius,
        "radius_kpc": 3.0 * radius,
        "width": np.full(n_ring, 0.5),
        "covered": np.ones(n_ring),
        "n_bin": np.ones(n_ring),
    }
    size = np.array([2.9, 3.0, 3.1])
    ds = xr.Dataset(
        {
            **{name: ("ring", value, RADIAL.attrs(name)) for name, value in of.items()},
            "av": (("ring", "quantile"), rows, {"units": "mag", "long_name": "av"}),
            "dust2": (("ring", "quantile"), rows, {"units": "", "long_name": "dust2"}),
            "half_light": (("band", "quantile"), size[None], RADIAL.attrs("half_light")),
            "mass_to_light": (("band", "quantile"), size[None], RADIAL.attrs("mass_to_light")),
            "half_mass": ("quantile", size, RADIAL.attrs("half_mass")),
            "half_sfr": ("quantile", size, RADIAL.attrs("half_sfr")),
            "half_mass_of_medians": ((), 3.0, RADIAL.attrs("half_mass_of_medians")),
            "psf_fwhm": ("band", np.array([1.0]), RADIAL.attrs("psf_fwhm")),
            "flags": ((), np.uint16(0), RADIAL.attrs("flags") | flag_attrs()),
        },
        {
            "band": ("band", np.array(["r"], object), RADIAL.attrs("band")),
            "pivot_wave": ("band", np.array([6e3]), RADIAL.attrs("pivot_wave")),
            "quantile": ("quantile", np.array(QUANTILES), RADIAL.attrs("quantile")),
        },
        {"schema": RADIAL.tag, "r_eff": 2.0, "kpc_per_arcsec": 1.5},
    )
    return RADIAL.validate(ds)


def test_radial_profiles_are_in_units_of_the_size_with_intervals():
    radial = profiles_of([1.0, 0.5, 0.2])
    assert profile_names(radial) == ["av", "dust2"]
    figure = radial_profiles_figure(radial, title="g1")
    axes = figure.axes[0]
    assert len([one for one in figure.axes if one.get_visible()]) == 1  # dust2 is av
    half_mass, line = axes.lines
    np.testing.assert_allclose(half_mass.get_xdata(), 1.5)  # 3 arcsec, of 2 each
    np.testing.assert_array_equal(line.get_xdata(), radial["radius"])
    np.testing.assert_array_equal(line.get_ydata(), radial["av"].values[:, 1])
    (band,) = axes.collections
    assert band.get_hatch() is None  # hatched is how much bins differ
    (legend,) = figure.legends
    assert "68 % of the posterior" in [entry.get_text() for entry in legend.texts]
    edges = band.get_paths()[0].vertices[:, 1]
    assert (edges.min(), edges.max()) == (pytest.approx(0.1), pytest.approx(1.1))
    assert axes.get_xlim() == (0.0, 1.5)  # the empty ring is left out
    (kpc,) = axes.child_axes
    drawn(figure)
    np.testing.assert_allclose(kpc.get_xlim(), (0.0, 1.5 * 2.0 * 1.5))
    assert "eff" in axes.get_xlabel()
    assert "[mag]" in axes.get_ylabel().replace(r"\mathrm{mag}", "mag").replace("$", "")
    drawn(radial_profiles_figure(radial, title="", names=["dust2"]))
    with pytest.raises(DataError, match="no profile 'nose'; wanted some of av, dust2"):
        radial_profiles_figure(radial, title="", names=["nose"])
    empty = radial_profiles_figure(profiles_of([np.nan, np.nan]), title="")
    assert "no values" in [text.get_text() for text in empty.axes[0].texts]
    drawn(empty)


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
    dark = {name: ds.copy(deep=True) for name, ds in rest(galaxy).items()}
    for ds in (dark["maps"], dark["fit"]):
        for name in ds.data_vars:
            if "quantile" in ds[name].dims:
                ds[name].values[:] = np.nan
    figures = [
        maps_figure(dark["maps"], title="", names=["av"]),
        radial_figure(*dark.values(), radius_of(galaxy), title="", names=["av"], **SCALE),
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
    drawn(radial_figure(*rest(one).values(), radius_of(one), title="", names=["av"], **SCALE))


def test_errors_name_what_there_is(galaxy):
    with pytest.raises(DataError, match="no map 'nose'; wanted some of av, "):
        maps_figure(galaxy["maps"], title="", names=["nose"])
    with pytest.raises(SchemaError):
        maps_figure(galaxy["bins"], title="")
    with pytest.raises(DataError, match="no 'nose'"):
        of_bins("nose", **rest(galaxy))
