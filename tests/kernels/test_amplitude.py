import math

import numpy as np
import pytest

from pxdask.kernels.amplitude import amplitude_nodes, draw_ln_scale, ln_mean_likelihood
from pxdask.kernels.pair_likelihood import pair_ln_likelihood

WIDTH = 13.8


def problem(snr, n_sed=6, n_band=5):
    rng = np.random.default_rng(1)
    model = rng.uniform(0.5, 2, (n_sed, n_band)).astype(np.float32)
    flux = 1e3 * model * (1 + rng.standard_normal(model.shape) / snr)
    return flux, 1e3 * model / snr, model


def nodes(flux, error, model, *, dof=math.inf, limit=None, n_node=None):
    limit = np.zeros(flux.shape, bool) if limit is None else limit
    low = np.full(len(flux), math.log(1e3) - WIDTH / 2)
    return amplitude_nodes(
        flux, error, limit, model, sed=np.arange(len(flux)), low=low, width=WIDTH, dof=dof,
        n_node=n_node,
    )  # fmt: skip


@pytest.mark.parametrize("dof", [math.inf, 2.0])
@pytest.mark.parametrize("snr", [0.5, 3.0, 10.0, 100.0])
@pytest.mark.parametrize("limited", [False, True])
def test_the_mean_is_that_of_a_fine_grid(snr, dof, limited):
    flux, error, model = problem(snr)
    limit = np.zeros(flux.shape, bool)
    limit[:, 2] = limited
    found = ln_mean_likelihood(nodes(flux, error, model, dof=dof, limit=limit))
    grid = math.log(1e3) + np.linspace(-WIDTH / 2, WIDTH / 2, 40_001)
    for i in range(len(flux)):
        ln_each = pair_ln_likelihood(
            flux[[i]], error[[i]], limit[[i]], np.repeat(model[[i]], grid.size, axis=0),
            scale=np.exp(grid), sed=np.zeros(grid.size, int), dof=dof,
        )  # fmt: skip
        want = math.log(np.trapezoid(np.exp(ln_each - ln_each.max()), grid) / WIDTH) + ln_each.max()
        # of Student's t, two bands that disagree make two maxima, and nodes are about one
        assert found[i] == pytest.approx(want, abs=1e-3 if math.isinf(dof) else 3e-3)


def test_draws_have_mean_and_width_of_the_posterior():
    flux, error, model = (np.repeat(one[:1], 20_000, axis=0) for one in problem(20.0))
    drawn = np.exp(
        draw_ln_scale(nodes(flux, error, model, n_node=96), np.random.default_rng(2).random(20_000))
    )
    square = np.sum((model[0] / error[0]) ** 2)
    best = np.sum(model[0] * flux[0] / error[0] ** 2) / square
    # four deviations of the mean, and of the width 2 per cent
    assert drawn.mean() == pytest.approx(best, abs=0.05 / math.sqrt(square))
    assert drawn.std() == pytest.approx(1 / math.sqrt(square), rel=0.02)


def test_no_band_leaves_the_prior_and_a_model_is_its_own():
    flux, error, model = problem(10.0)
    assert ln_mean_likelihood(nodes(flux * np.nan, error, model)) == pytest.approx(0, abs=1e-9)
    whole = nodes(flux, error, model)
    part = nodes(flux[2:4], error[2:4], model[2:4])
    np.testing.assert_array_equal(part.weight, whole.weight[2:4])
