"""Figures of posteriors: quantiles, histories, and what is said where there are none."""

import numpy as np
import pytest
import xarray as xr
from matplotlib import pyplot as plt

from pxdask.core.errors import DataError
from pxdask.plots.posterior import corner_figure, history_figure, varying_samples
from tests.plots.galaxy import drawn, labels, made

NAMES = ("log_mass", "log_sfr", "log_age")


@pytest.fixture(scope="module")
def fit():
    """A fit whose samples are normal: of the made-up galaxy only the form is used."""
    fit = made(n_samples=400)["fit"].copy(deep=True)
    rng = np.random.default_rng(2)
    for i, name in enumerate(sorted(str(n) for n in fit.data_vars if n.endswith("_samples"))):
        fit[name].values[:] = rng.normal(i, 1.0 + i, fit[name].shape)
    return fit


def test_the_diagonal_tells_the_quantiles_of_the_samples(fit):
    figure = corner_figure(fit, number=1, title="g1,   bin 1", names=NAMES)
    grid = np.array(figure.axes).reshape(3, 3)
    for i, name in enumerate(NAMES):
        samples = fit[f"{name}_samples"].values[1].astype(float)
        low, middle, high = np.quantile(samples, (0.16, 0.5, 0.84))
        lines = [line.get_xdata()[0] for line in grid[i, i].lines if line.get_linestyle() == "--"]
        np.testing.assert_allclose(lines, (low, middle, high), rtol=1e-6)
        title = grid[i, i].get_title()
        assert f"{middle:.2f}".replace("-", "−") in title.replace("-", "−")
        assert f"{high - middle:.2f}" in title
    text = labels(figure)
    assert figure.get_suptitle() == "g1,   bin 1"
    assert r"$\log\,M_*$ [$\mathrm{M_{\odot}}$]" in text
    assert r"\mathrm{yr^{-1}}" in text or r"yr^{-1}" in text
    drawn(figure)


def test_weights_move_the_quantiles(fit):
    samples = fit["log_mass_samples"].values[1].astype(float)
    weights = (samples > np.median(samples)).astype(float)
    figure = corner_figure(fit, number=1, title="", names=NAMES, weights=weights)
    lines = [line.get_xdata()[0] for line in figure.axes[0].lines]
    upper = samples[weights > 0]
    # weighted quantiles are interpolated in another way: to a spacing of the samples
    assert lines[1] == pytest.approx(np.median(upper), abs=0.03)


def test_by_default_all_that_varies_is_shown_but_for_multiples_of_others(fit):
    fixed = fit.copy(deep=True)
    fixed["logzsol_samples"].values[:] = -0.3
    names, samples = varying_samples(fixed, number=0)
    assert names[:2] == ["log_mass", "log_sfr"]
    assert "logzsol" not in names
    assert "av" in names
    assert "dust2" not in names
    assert samples.shape == (400, len(names))
    np.testing.assert_array_equal(samples[:, 0], fixed["log_mass_samples"].values[0])


def test_one_quantity_is_one_panel(fit):
    figure = corner_figure(fit, number=0, title="", names=["av"])
    assert len(figure.axes) == 1
    drawn(figure)


def test_errors_say_what_to_do(fit):
    with pytest.raises(DataError, match="n_samples: 300"):
        corner_figure(made()["fit"], number=0, title="")
    with pytest.raises(DataError, match="no bin 99"):
        corner_figure(fit, number=99, title="")
    with pytest.raises(DataError, match="no samples of 'nose'; wanted some of"):
        corner_figure(fit, number=0, title="", names=["nose"])
    one = fit.copy(deep=True)
    for name in one.data_vars:
        if "sample" in one[name].dims:
            one[name].values[:] = 1.0
    with pytest.raises(DataError, match=r"1 different models; .* raise models\.n_models"):
        corner_figure(one, number=0, title="")
    one["av_samples"].values[0] = np.nan
    with pytest.raises(DataError, match="not finite"):
        corner_figure(one, number=0, title="")


def test_pyplot_has_no_figure_of_it(fit):
    before = plt.get_fignums()
    corner_figure(fit, number=0, title="", names=NAMES)
    assert plt.get_fignums() == before


def history(rate):
    edges = np.array([0.0, 0.01, 0.1, 1.0, 10.0])
    quantile = [0.025, 0.16, 0.5, 0.84, 0.975]
    rates = np.multiply.outer(np.linspace(0.8, 1.2, 5), rate)
    formed = np.multiply.outer(np.linspace(0.9, 1.0, 5), [1.0, 0.9, 0.5, 0.1])
    return xr.Dataset(
        {"rate": (("quantile", "time"), rates), "formed": (("quantile", "time"), formed),
         "edge": ("edge", edges)},
        coords={"quantile": quantile},
    )  # fmt: skip


def test_histories_are_steps_with_bands():
    made = history([1.0, 2.0, 4.0, 0.0])
    figure = history_figure(made, title="g1")
    left, right = figure.axes
    outer, inner, median = left.patches
    np.testing.assert_allclose(median.get_data().values, [1.0, 2.0, 4.0, 0.0])
    np.testing.assert_allclose(median.get_data().edges[1:], made["edge"].values[1:])
    np.testing.assert_allclose(outer.get_data().values, 1.2 * median.get_data().values)
    np.testing.assert_allclose(inner.get_data().baseline, 0.9 * median.get_data().values)
    assert [outer.get_label(), inner.get_label()] == [
        "95 % of the posterior",
        "68 % of the posterior",
    ]
    np.testing.assert_allclose(right.patches[-1].get_data().values, made["formed"].values[2])
    assert left.get_xlim()[0] < left.get_xlim()[1] == 10.0  # the past is at the right
    text = labels(figure)
    assert "lookback time [Gyr]" in text
    assert r"star formation rate [$\mathrm{M_{\odot}\,yr^{-1}}$]" in text
    drawn(figure)


def test_a_history_without_a_value_is_an_error():
    with pytest.raises(DataError, match="no finite rate"):
        history_figure(history([np.nan] * 4), title="")
