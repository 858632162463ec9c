"""Figures of properties against radius hold the posteriors of bins and of rings."""

import numpy as np
import pytest
import xarray as xr

from pxdask.core.errors import DataError
from pxdask.core.flags import flag_attrs
from pxdask.core.schema import QUANTILES, RADIAL
from pxdask.plots.radial import profile_names, radial_figure, radial_profiles_figure
from tests.plots.galaxy import drawn, labels, made, radius_of, rest, without_values

SCALE = {"width": 3.0, "kpc_per_arcsec": 0.4}


@pytest.fixture(scope="module")
def galaxy():
    return made()


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


def test_bins_without_values_are_said_to_have_none(galaxy):
    dark = without_values(galaxy)
    figure = radial_figure(*dark.values(), radius_of(galaxy), title="", names=["av"], **SCALE)
    assert "no values" in [text.get_text() for text in figure.axes[0].texts]
    drawn(figure)


def test_one_bin_is_drawn():
    one = made(one_bin=True)
    drawn(radial_figure(*rest(one).values(), radius_of(one), title="", names=["av"], **SCALE))
