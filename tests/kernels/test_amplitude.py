import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import log_ndtr

from pxdask.kernels.amplitude import (
    amplitude_nodes,
    draw_ln_scale,
    ln_mean_likelihood,
    ln_mean_over_amplitude,
)
from pxdask.kernels.pair_likelihood import pair_ln_likelihood

WIDTH = 13.8


def problem(snr, n_sed=6, n_band=5):
    rng = np.random.default_rng(1)
    model = rng.uniform(0.5, 2, (n_sed, n_band)).astype(np.float32)
    flux = 1e3 * model * (1 + rng.standard_normal(model.shape) / snr)
    return flux, 1e3 * model / snr, model


def nodes(flux, error, model, *, dof=math.inf, limit=None, n_node=24):
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
        assert found[i] == pytest.approx(want, abs=1e-3)


def one_band(s, snr, shift, limit, dof):
    """The ln likelihood of a band of flux exp(shift), but for its constant."""
    z = snr * (1 - s * math.exp(-shift))
    if limit:
        return float(log_ndtr(z))
    return -0.5 * (dof + 1) * math.log1p(z * z / dof)


band = st.tuples(st.floats(0.3, 300.0), st.floats(-3.0, 3.0), st.sampled_from([False] * 4 + [True]))


@settings(max_examples=60, deadline=None)
@given(st.lists(band, min_size=2, max_size=12), st.sampled_from([1.0, 2.0, 8.0]))
def test_bands_that_disagree_under_students_t(bands, dof):
    snr, shift, limit = (np.array(column) for column in zip(*bands, strict=True))
    low, high = -WIDTH / 2, WIDTH / 2

    def ln_density(y):
        return sum(one_band(math.exp(y), *one, dof) for one in bands)

    # pieces that end at, and on both sides of, what each band asks for
    steps = np.array([-30.0, -3.0, 0.0, 3.0, 30.0])
    cuts = (np.log1p(np.clip(steps / snr[:, None], -0.99, None)) + shift[:, None]).ravel()
    cuts = np.unique(np.clip(np.concatenate([cuts, [low, high]]), low, high))
    top = max(ln_density(y) for y in cuts)
    pieces = [
        quad(lambda y: math.exp(ln_density(y) - top), a, b, epsrel=1e-6, limit=200)[0]
        for a, b in pairwise(cuts)
        if b - a > 1e-12
    ]
    flux = np.exp(shift)[None]
    error = flux / snr
    model = np.ones((1, len(bands)), np.float32)
    given_all = {"sed": np.array([0]), "low": np.array([low]), "width": WIDTH, "dof": dof}
    found = ln_mean_over_amplitude(flux, error, limit[None], model, **given_all)[0]
    constant = sum(
        math.lgamma((dof + 1) / 2) - math.lgamma(dof / 2) - 0.5 * math.log(dof * math.pi) - ln_err
        for ln_err in np.log(error[0, ~limit])
    )
    want = math.log(sum(pieces) / WIDTH) + top + constant
    assert found == pytest.approx(want, abs=1e-2)
    nodes_too = amplitude_nodes(flux, error, limit[None], model, **given_all)
    assert ln_mean_likelihood(nodes_too)[0] == pytest.approx(found, abs=1e-9)


def test_two_bands_far_apart_each_have_their_part():
    flux, error = np.array([[1.0, 2.0]]), np.array([[0.01, 0.02]])
    n = 20_000
    found = amplitude_nodes(
        flux, error, np.zeros((1, 2), bool), np.ones((n, 2), np.float32),
        sed=np.zeros(n, int), low=np.array([-WIDTH / 2]), width=WIDTH, dof=2.0,
    )  # fmt: skip
    drawn = draw_ln_scale(found, np.random.default_rng(0).random(n))
    grid = np.linspace(-2, 3, 100_001)
    chi = (flux - np.exp(grid)[:, None]) / error
    density = np.exp(-1.5 * np.sum(np.log1p(chi**2 / 2), axis=1))
    want = density[grid < 0.35].sum() / density.sum()
    # the other band is 50 errors away at the first, 100 at the second: about (100 / 50)^3 to 1
    assert want == pytest.approx(8 / 9, abs=0.01)
    # four deviations of a share of so many draws, and one per cent for the histogram
    assert np.mean(drawn < 0.35) == pytest.approx(want, abs=4 * 0.32 / math.sqrt(n) + 0.01)


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
