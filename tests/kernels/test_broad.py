"""Sums over whole libraries, against double precision."""

import math

import numpy as np
import pytest

from pxdask.kernels.broad import make_limits, make_quantities
from pxdask.kernels.broad_sums import broad_sums, make_memory
from pxdask.kernels.classes import N_CLASS, class_summaries
from pxdask.kernels.rdsps import make_search, search
from pxdask.kernels.vector_sums import N_TOGETHER
from tests.kernels.test_rdsps import FORMS, exact, library, sed

NODE, MIDDLE, OUTER = 0.98, 0.18, 0.41
PROBABILITIES = np.array([0.16, 0.5, 0.84])


def limits(best, dof):
    return make_limits(best, depth=47.0, dof=dof, node=NODE, weights=(MIDDLE, OUTER))


def summaries(sums, low, high):
    """Return quantiles, mean and variance of one quantity."""
    edges = np.full((1, 2), np.nan)
    low, high = np.array([low]), np.array([high])
    quantiles, moments, _ = class_summaries(sums[None], low, high, PROBABILITIES, edges)
    return quantiles[0], *moments[0]


def memory_for(n_sed, quantities, models):
    return make_memory(n_sed, quantities, n_band=len(models), keep=True)


def test_memory_is_used_again_and_for_fewer():
    rng = np.random.default_rng(6)
    models = library(rng, 4, 140_000)  # more than are summed in single precision
    seds = [sed(rng, models, 1.0) for _ in range(3)]
    ready = make_search(*np.stack(seds, axis=1), unit_flux=1.0)
    best = search(models, ready, dof=math.inf).best
    per_mass = rng.normal(0, 0.2, (1, 140_000)).astype(np.float32)
    quantities = make_quantities(per_mass, [rng.random(140_000)])
    memory = memory_for(3, quantities, models)

    def got(chosen, memory):
        found = broad_sums(
            models, ready, chosen, limits=limits(best[chosen], math.inf), quantities=quantities,
            memory=memory,
        )  # fmt: skip
        return [each.copy() for each in found.one(len(chosen) - 1)]

    got(np.arange(3), memory)
    again = got(np.array([0, 1]), memory)
    for one, other in zip(
        again, got(np.array([1]), memory_for(1, quantities, models)), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    total, levels = again[0], again[7]
    assert levels.sum() == pytest.approx(total, rel=1e-5)


@FORMS
@pytest.mark.parametrize("snr", [0.7, 2.0, 5.0])
def test_statistics_equal_double_precision(dof, snr):
    rng = np.random.default_rng(11)
    n = 20_000
    models = library(rng, 8, n) ** np.float32(0.3)
    flux, error = sed(rng, models, snr)
    ready = make_search(flux[None], error[None], unit_flux=1.0)
    cost, scale = exact(flux, error, models.astype(float), dof)
    best = search(models, ready, dof=dof).best
    per_mass, value = rng.normal(0, 0.2, (1, n)).astype(np.float32), rng.gamma(2.0, size=n)
    quantities = make_quantities(per_mass, [value])
    found = broad_sums(
        models, ready, np.array([0]), limits=limits(best, dof), quantities=quantities,
        memory=memory_for(1, quantities, models),
    ).one(0)  # fmt: skip
    weight = np.exp(-0.5 * (cost - cost.min())) * (scale > 0)
    np.testing.assert_allclose(found.weight, weight, rtol=1e-3, atol=1e-7)
    assert found.total == pytest.approx(weight.sum(), rel=1e-5)
    assert found.squares == pytest.approx((weight**2).sum(), rel=1e-5)
    assert found.best == np.argmax(found.weight)
    assert weight[found.best] > 1 - 1e-4
    # a parameter
    share = weight / weight.sum()
    step = (value.max() - value.min()) / N_CLASS
    quantiles, mean, variance = summaries(found.levels[0], value.min(), value.max())
    assert mean == pytest.approx(share @ value, abs=0.05 * step)  # errors of classes average out
    deviation = math.sqrt(share @ (value - share @ value) ** 2)
    assert math.sqrt(variance) == pytest.approx(deviation, abs=0.05 * step)
    for q, p in zip(quantiles, PROBABILITIES, strict=True):
        below, under = share[value <= q - step].sum(), share[value < q + step].sum()
        assert below - 1e-6 <= p <= under + 1e-6
    # a quantity that scales with the amplitude: three nodes, each with a part of the weight
    value = per_mass[0] + np.log10(np.maximum(scale, 1e-30) / ready.unit[0])
    mean, variance = found.moments[0]
    assert mean == pytest.approx(share @ value, abs=2e-5)
    assert variance == pytest.approx(share @ (value - share @ value) ** 2, rel=1e-4)
    relative = 1 / np.sqrt((models.astype(float) ** 2 / error[:, None] ** 2).sum(axis=0)) / scale
    spread = np.log10(1 + NODE * np.where(scale > 0, relative, 1.0))
    nodes = np.concatenate([value - spread, value, value + spread])
    parts = np.concatenate([OUTER * share, MIDDLE * share, OUTER * share])
    step = (found.high[0] - found.low[0]) / N_CLASS
    assert found.scaled[0].sum() == pytest.approx(found.total, rel=1e-5)
    quantiles, _, _ = summaries(found.scaled[0], found.low[0], found.high[0])
    for q, p in zip(quantiles, PROBABILITIES, strict=True):
        below, under = parts[nodes <= q - step].sum(), parts[nodes < q + step].sum()
        assert below - 1e-5 <= p <= under + 1e-5


@FORMS
@pytest.mark.parametrize("n_model", [1, 127, 1025, 9000, 70_001])
def test_sums_of_an_sed_do_not_depend_on_the_others(dof, n_model):
    rng = np.random.default_rng(9)
    models = library(rng, 5, n_model) ** np.float32(0.3)
    seds = [np.array(sed(rng, models, snr)) for snr in np.linspace(0.5, 6, N_TOGETHER)]
    ready = make_search(*np.stack(seds, axis=1), unit_flux=1.0)
    best = search(models, ready, dof=dof).best
    per_mass = rng.normal(0, 0.2, (2, n_model)).astype(np.float32)
    quantities = make_quantities(per_mass, [rng.random(n_model) for _ in range(3)])

    def got(chosen):
        chosen = np.array(chosen)
        return broad_sums(
            models, ready, chosen, limits=limits(best[chosen], dof), quantities=quantities,
            memory=memory_for(chosen.size, quantities, models),
        )  # fmt: skip

    together = got(range(N_TOGETHER))
    for k in (0, 7, 15):
        for one, of_all in zip(got([k]).one(0), together.one(k), strict=True):
            np.testing.assert_array_equal(one, of_all)
    weight = together.weight
    want = [
        [np.bincount(level, weights=of_one, minlength=N_CLASS) for level in quantities.level]
        for of_one in weight
    ]
    # some tens of models to a class, summed in single precision: 40 * 2^-24
    np.testing.assert_allclose(together.levels, want, rtol=3e-6)
    np.testing.assert_array_equal(together.best, weight.argmax(axis=1))


def test_models_far_from_the_others_count_in_the_end_classes():
    # the sixteenth models tell where classes are; one between them has a hundred times their mass
    models = np.ones((3, 400), np.float32)
    models[:, 5] = 0.01
    ready = make_search(np.full((1, 3), 2.0), np.ones((1, 3)), unit_flux=1.0)
    best = search(models, ready, dof=math.inf).best
    quantities = make_quantities(np.zeros((1, 400), np.float32), [])
    found = broad_sums(
        models, ready, np.array([0]), limits=limits(best, math.inf), quantities=quantities,
        memory=memory_for(1, quantities, models),
    ).one(0)  # fmt: skip
    # costs near 12 are right to 1e-6, and weights are as far off
    assert found.scaled[0].sum() == pytest.approx(400, rel=1e-5)
    assert found.scaled[0, -1] == pytest.approx(1, rel=1e-5)
    want = (399 * math.log10(2) + math.log10(200)) / 400
    assert found.moments[0, 0] == pytest.approx(want, rel=1e-5)


def test_a_single_model_that_counts_is_looked_for_among_all():
    models = np.zeros((2, 100), np.float32)
    models[:, ::16] = [[1.0], [-1.0]]  # of no positive amplitude
    models[:, 3] = 1.0
    ready = make_search(np.ones((1, 2)), np.ones((1, 2)), unit_flux=1.0)
    quantities = make_quantities(np.zeros((1, 100), np.float32), [])
    best = np.zeros(1, np.float32)
    seen = models.copy()
    seen[:, np.all(models == 0, axis=0)] = [[1.0], [-1.0]]
    found = broad_sums(
        seen, ready, np.array([0]), limits=limits(best, math.inf), quantities=quantities,
        memory=memory_for(1, quantities, seen),
    ).one(0)  # fmt: skip
    assert found.best == 3
    assert found.low[0] < math.log10(1.0) < found.high[0]
    assert found.scaled[0].sum() == pytest.approx(1.0, rel=1e-6)


def test_a_constant_has_no_width():
    quantities = make_quantities(np.zeros((0, 10), np.float32), [np.full(10, 3.0)])
    assert not quantities.level.any()
    sums = np.bincount(quantities.level[0], minlength=N_CLASS).astype(float)
    _, mean, variance = summaries(sums, quantities.low[0], quantities.high[0])
    assert (mean, variance) == (3.0, 0.0)
