"""Figures of SEDs: points, models and limits are the datasets' numbers."""

import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import to_hex

from pxdask.core.errors import DataError, SchemaError
from pxdask.fitting.components import MODEL_SED
from pxdask.plots.seds import fit_figure, pixels_figure, seds_figure, spread_bins
from tests.plots.galaxy import drawn, images, labels, made


@pytest.fixture(scope="module")
def galaxy():
    return made()


def curve(axes, label):
    """Return the (x, y) of what has a label."""
    found = [line for line in axes.lines if line.get_label() == label]
    found += [bars[0] for bars in axes.containers if bars.get_label() == label]
    (line,) = found
    return np.array(line.get_xdata()), np.array(line.get_ydata())


def model_of(bins, factor=1.0):
    """Return spectra of models that are multiples of a power law."""
    wave = np.geomspace(1000.0, 60000.0, 50)
    flux = factor * wave / 1e4
    n_band = bins.sizes["band"]
    values = {
        "pivot_wave": ("band", bins["pivot_wave"].values),
        "band": ("band", bins["band"].values.astype(object)),
        "quantile": ("quantile", [0.16, 0.5, 0.84]),
        "flux": (("quantile", "band"), np.ones((3, n_band))),
        "wave": ("wave", wave),
        "spectrum": (("quantile", "wave"), np.multiply.outer([0.9, 1.0, 1.1], flux)),
        "component": ("component", np.array(["stellar", "dust"], dtype=object)),
        "parts": (("component", "wave"), np.array([0.8 * flux, 0.2 * flux])),
        "without_dust": ("wave", 1.5 * flux),
    }
    made = {name: (*value, MODEL_SED.attrs(name)) for name, value in values.items()}
    return MODEL_SED.validate(xr.Dataset(made, attrs={"schema": MODEL_SED.tag}))


def test_the_fit_is_drawn_with_its_residuals(galaxy):
    bins, fit = galaxy["bins"], galaxy["fit"]
    figure = fit_figure(bins, fit, number=2, title="g1,   bin 2")
    axes, residuals = figure.axes[:2]
    wave, flux = curve(axes, "observed")
    np.testing.assert_allclose(wave, bins["pivot_wave"].values / 1e4)
    np.testing.assert_allclose(flux, bins["flux"].values[2])
    np.testing.assert_allclose(curve(axes, "model")[1], fit["model_flux"].values[2])
    error = np.hypot(bins["flux_err"].values[2], 0.1 * bins["flux"].values[2])
    wanted = (bins["flux"].values[2] - fit["model_flux"].values[2]) / error
    np.testing.assert_allclose(residuals.lines[1].get_ydata(), wanted)
    text = labels(figure)
    for label in (
        r"flux density [$\mu$Jy]",
        r"[$\mu$m]",
        r"residual [$\sigma$]",
        "offset [arcsec]",
    ):
        assert label in text
    words = " ".join(each.get_text() for ax in figure.axes for each in ax.texts)
    assert "bin 2" in words
    assert "no samples" in words
    drawn(figure)


def test_the_map_shows_where_the_bin_is(galaxy):
    bin_map = galaxy["bins"]["bin_map"].values
    where = images(fit_figure(galaxy["bins"], galaxy["fit"], number=2, title=""))[0]
    assert np.nansum(where == 1) == np.sum(bin_map == 2)
    assert np.nansum(where == 0) == np.sum((bin_map >= 0) & (bin_map != 2))


def test_components_and_band_are_those_of_the_models(galaxy):
    model = model_of(galaxy["bins"], factor=galaxy["bins"]["flux"].values[2].mean())
    figure = fit_figure(galaxy["bins"], galaxy["fit"], number=2, title="", model=model)
    axes = figure.axes[0]
    wave, stars = curve(axes, "stars")
    inside = np.isin(model["wave"].values / 1e4, wave)
    np.testing.assert_allclose(stars, model["parts"].values[0, inside])
    np.testing.assert_allclose(curve(axes, "dust emission")[1], model["parts"].values[1, inside])
    np.testing.assert_allclose(curve(axes, "without dust")[1], model["without_dust"].values[inside])
    np.testing.assert_allclose(
        curve(axes, "models, 16–84 %")[1], model["spectrum"].values[1, inside]
    )
    band = axes.collections[-1].get_paths()[0].vertices[:, 1]
    assert band.max() == pytest.approx(model["spectrum"].values[2, inside].max())
    pivot = galaxy["bins"]["pivot_wave"].values / 1e4
    assert axes.get_xlim() == pytest.approx((0.8 * pivot.min(), 1.25 * pivot.max()))
    drawn(figure)


def test_seds_of_bins_are_per_area(galaxy):
    bins, fit = galaxy["bins"], galaxy["fit"]
    numbers = spread_bins(bins, 3)
    figure = seds_figure(bins, fit, numbers=numbers, title="g1")
    for number in numbers:
        area = bins["n_pix"].values[number] * 1.5**2
        wanted = bins["flux"].values[number] / area
        seen = bins["flux"].values[number] > bins["flux_err"].values[number]
        found = curve(figure.axes[0], f"bin {number}")[1]
        np.testing.assert_allclose(found, wanted[seen], rtol=1e-5)  # of a pixel in the projection
    assert r"surface brightness [$\mu$Jy arcsec$^{-2}$]" in labels(figure)
    plain = bins.copy()
    plain.attrs = {name: value for name, value in bins.attrs.items() if name != "wcs"}
    text = labels(seds_figure(plain, None, numbers=numbers, title=""))
    assert r"pix$^{-1}$" in text
    assert "offset [pix]" in text


def test_fluxes_below_their_error_are_limits(galaxy):
    bins = galaxy["bins"].copy(deep=True)
    bins["flux"].values[1, 0] = -3.0 * bins["flux_err"].values[1, 0]
    figure = seds_figure(bins, galaxy["fit"], numbers=[1], title="")
    axes = figure.axes[0]
    limits = [line for line in axes.lines if line.get_marker() == "v"]
    area = bins["n_pix"].values[1] * 1.5**2
    wanted = 2 * bins["flux_err"].values[1, 0] / area
    np.testing.assert_allclose(limits[0].get_ydata(), [wanted], rtol=1e-5)
    assert curve(axes, "bin 1")[0].size == bins.sizes["band"] - 1


def test_pixels_are_those_of_the_bin_and_the_mean_is_its(galaxy):
    cube, bins = galaxy["cube"], galaxy["bins"]
    figure = pixels_figure(cube, bins, number=2, title="g1")
    axes = figure.axes[0]
    mean = bins["flux"].values[2] / bins["n_pix"].values[2]
    np.testing.assert_allclose(curve(axes, "mean of bin 2")[1], mean)
    inside = bins["bin_map"].values == 2
    flux, error = (cube[name].values[:, inside].T.astype(float) for name in ("flux", "flux_err"))
    shown = [np.array(line.get_ydata()) for line in axes.lines if line.get_linewidth() == 0.7]
    rows = [row for row in shown if row.size]
    assert 0 < len(rows) <= 30
    wanted = np.where(flux > error, flux, np.nan)
    for row in rows:
        assert any(np.array_equal(row, one, equal_nan=True) for one in wanted)
    assert f"of {inside.sum()} pixels" in " ".join(t.get_text() for t in axes.legend_.texts)


@pytest.mark.parametrize("factor", [100.0, 0.01])
def test_lines_of_pixels_unlike_their_mean_are_inside(galaxy, factor):
    """One pixel is made far brighter, or fainter, than the bin's mean, to a thousandth error."""
    cube, bins = galaxy["cube"].copy(deep=True), galaxy["bins"]
    y, x = (int(i[0]) for i in np.nonzero(bins["bin_map"].values == 2))
    mean = bins["flux"].values[2] / bins["n_pix"].values[2]
    cube["flux"].values[:, y, x] = factor * np.abs(mean)
    cube["flux_err"].values[:, y, x] = 1e-3 * factor * np.abs(mean)
    axes = pixels_figure(cube, bins, number=2, title="").axes[0]
    low, high = axes.get_ylim()
    drawn_to = np.concatenate([np.array(line.get_ydata(), float) for line in axes.lines])
    assert low < np.nanmin(drawn_to) < np.nanmax(drawn_to) < high
    one = np.nanmax(drawn_to) if factor > 1 else np.nanmin(drawn_to)
    extreme = np.abs(mean).max() if factor > 1 else np.abs(mean).min()
    assert one == pytest.approx(factor * extreme, rel=1e-5)  # fluxes are float32


@pytest.mark.parametrize("one_bin", [False, True])
def test_pixels_have_the_colours_of_their_lines(one_bin):
    """Of the brightest and the faintest, whose lines are the first and the last; others: white."""
    parts = made(one_bin=one_bin)
    cube, bins, number = parts["cube"], parts["bins"], 0 if one_bin else 2
    axes, _, near = pixels_figure(cube, bins, number=number, title="").axes
    lines = [line for line in axes.lines if line.get_linewidth() == 0.7][:-1]
    inside = bins["bin_map"].values == number
    light = np.where(inside, cube["flux"].values.sum(axis=0, dtype=float), np.nan)
    picture = near.images[0]
    colours = picture.cmap(picture.norm(picture.get_array()))
    painted = picture.get_array().filled(0.0) >= 1  # of the bin
    cut = light[np.isfinite(light)]
    found = colours[painted][:, :3]
    assert len(found) == cut.size
    for at, line in ((np.argmin(cut), lines[0]), (np.argmax(cut), lines[-1])):
        assert to_hex(found[at]) == line.get_color()
    white = [to_hex(each) == "#ffffff" for each in found]
    assert sum(white) == cut.size - len(lines)
    assert ("white" in near.get_title(loc="left")) == any(white)


def test_one_pixel_has_its_own_sed(galaxy):
    cube, bins = galaxy["cube"], galaxy["bins"]
    y, x = (int(i[0]) for i in np.nonzero(bins["bin_map"].values == 0))
    figure = pixels_figure(cube, bins, number=0, title="", pixel=(y, x))
    flux, error = (cube[name].values[:, y, x].astype(float) for name in ("flux", "flux_err"))
    found = curve(figure.axes[0], f"pixel (y, x) = {y}, {x}")[1]
    np.testing.assert_array_equal(found, flux[flux > error])
    drawn(figure)


def test_spread_bins_begin_with_the_brightest_and_end_farthest_out(galaxy):
    bins = galaxy["bins"]
    numbers = spread_bins(bins, 4)
    assert len(numbers) == len(set(numbers)) == 4
    density = (bins["flux"].values / bins["n_pix"].values[:, None]).sum(axis=1)
    assert numbers[0] == np.argmax(density)
    y, x = np.indices(bins["bin_map"].shape)
    places = [
        np.array([y[bins["bin_map"].values == i].mean(), x[bins["bin_map"].values == i].mean()])
        for i in range(bins.sizes["bin"])
    ]
    far = [np.hypot(*(places[i] - places[numbers[0]])) for i in range(bins.sizes["bin"])]
    assert far[numbers[-1]] == max(far)
    assert np.all(np.diff([far[i] for i in numbers]) >= 0)
    only = np.zeros(bins.sizes["bin"], bool)
    only[3] = True
    assert spread_bins(bins, 4, candidates=only) == [3]


@pytest.mark.parametrize("case", [{"n_band": 1}, {"one_bin": True}])
def test_poor_galaxies_have_figures_too(case):
    one = made(**case)
    for figure in (
        fit_figure(one["bins"], one["fit"], number=0, title=""),
        seds_figure(one["bins"], one["fit"], numbers=spread_bins(one["bins"], 6), title=""),
        pixels_figure(one["cube"], one["bins"], number=0, title=""),
    ):
        drawn(figure)


def test_bins_without_light_are_said_to_have_none(galaxy):
    bins = galaxy["bins"].copy(deep=True)
    bins["flux"].values[:] = np.nan
    figure = seds_figure(bins, None, numbers=[0, 1], title="")
    assert figure.axes[0].texts[0].get_text() == "no values"
    drawn(figure)


def test_errors_name_the_bin_and_the_schema(galaxy):
    with pytest.raises(DataError, match=r"no bin 999; wanted one of 0 to"):
        fit_figure(galaxy["bins"], galaxy["fit"], number=999, title="")
    with pytest.raises(SchemaError):
        seds_figure(galaxy["cube"], None, numbers=[0], title="")
