import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pxdask.kernels.fastmath import log_single
from pxdask.kernels.nearest import drop_tail
from pxdask.kernels.rdsps import (
    columns,
    make_search,
    rounding_bound,
    search,
)

FORMS = pytest.mark.parametrize("dof", [math.inf, 2.0])


def library(rng, n_band=12, n_model=3000):
    return np.exp(0.7 * rng.normal(size=(n_band, n_model))).astype(np.float32)


def sed(rng, models, snr):
    flux = 1e9 * models[:, rng.integers(models.shape[1])].astype(float)
    error = np.abs(flux) / snr
    return flux + error * rng.normal(size=flux.size), error


def costs(models, seds, *, dof):
    """Costs of all models."""
    return search(models, seds, dof=dof).cost[:, : models.shape[1]]


def exact(flux, error, models, dof):
    """Cost in double precision, at amplitudes that are not negative, and the amplitudes."""
    x, y = (flux / error)[:, None], models / error[:, None]
    scale = np.maximum(np.sum(x * y, axis=0), 0) / np.sum(y * y, axis=0)
    square = (x - scale * y) ** 2
    if math.isinf(dof):
        return square.sum(axis=0), scale
    return (dof + 1) * np.log1p(square / dof).sum(axis=0), scale


def test_two_bands_and_two_models_by_hand():
    flux, error = np.array([[2.0, 3.0]]), np.array([[1.0, 0.5]])
    models = np.array([[1, 1], [1, 2]], np.float32)
    ready = make_search(flux, error, unit_flux=1.0)
    got = costs(models, ready, dof=math.inf)[0]
    # amplitudes 14 / 5 and 26 / 17
    want = [0.8**2 + 4 * 0.2**2, (2 - 26 / 17) ** 2 + 4 * (3 - 52 / 17) ** 2]
    np.testing.assert_allclose(got, want, atol=4e-6)  # C is 40, a few units of roundoff
    # (dof + 1) ln of the product of 1 + r^2 / dof
    got = costs(models, ready, dof=2.0)[0]
    want = 3 * np.log((1 + 0.8**2 / 2) * (1 + 4 * 0.2**2 / 2))
    assert got[0] == pytest.approx(want, abs=4e-6)


@FORMS
@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    log_snr=st.floats(-0.5, 3),
    n_band=st.integers(1, 19),
    log_flux=st.floats(-12, 12),
)
def test_costs_are_right_to_their_bound(dof, seed, log_snr, n_band, log_flux):
    rng = np.random.default_rng(seed)
    models = library(rng, n_band, 400)
    flux, error = (10**log_flux * each for each in sed(rng, models, 10**log_snr))
    want, _ = exact(flux, error, models.astype(float), dof)
    ready = make_search(flux[None], error[None], unit_flux=1.0)
    bound = rounding_bound(ready.norm[0], n_used=n_band, dof=dof)
    assert np.max(np.abs(costs(models, ready, dof=dof)[0] - want)) <= bound


@FORMS
def test_bound_is_not_far_from_the_worst_error(dof):
    rng = np.random.default_rng(3)
    models = library(rng)
    flux, error = sed(rng, models, 300.0)
    want, _ = exact(flux, error, models.astype(float), dof)
    ready = make_search(flux[None], error[None], unit_flux=1.0)
    worst = np.max(np.abs(costs(models, ready, dof=dof)[0] - want))
    # roundings that all add up are not met, but a bound of a hundred times more would be idle
    assert worst > 0.01 * rounding_bound(ready.norm[0], n_used=12, dof=dof)


@FORMS
def test_a_search_does_not_depend_on_company_or_layout(dof):
    rng = np.random.default_rng(5)
    models = library(rng)
    seds = [sed(rng, models, 10.0) for _ in range(5)]
    flux, error = (np.array(each) for each in zip(*seds, strict=True))
    together = costs(models, make_search(flux, error, unit_flux=1.0), dof=dof)
    other = np.asfortranarray(models)
    for i in range(5):
        alone = make_search(flux[[i]], error[[i]], unit_flux=1.0)
        assert costs(models, alone, dof=dof)[0].tobytes() == together[i].tobytes()
        assert costs(other, alone, dof=dof)[0].tobytes() == together[i].tobytes()


def test_unusable_bands_are_left_out():
    rng = np.random.default_rng(6)
    models = library(rng)
    flux, error = sed(rng, models, 10.0)
    for bad in (np.nan, np.inf, 0.0, -1.0):
        other = error.copy()
        other[3] = bad
        used = np.arange(12) != 3
        with_bad = make_search(flux[None], other[None], unit_flux=1.0)
        without = make_search(flux[None, used], error[None, used], unit_flux=1.0)
        got, want = (
            costs(models, with_bad, dof=math.inf),
            costs(models[used], without, dof=math.inf),
        )
        assert got.tobytes() == want.tobytes()


@FORMS
def test_what_single_precision_cannot_hold_is_looked_at(dof):
    models = np.array([[1, 1e-30, 1e35], [1, 1e-30, 1e35]], np.float32)
    ready = make_search(np.array([[1.0, 2.0]]), np.ones((1, 2)), unit_flux=1.0)
    found = search(models, ready, dof=dof)
    assert np.isfinite(found.cost[0, 0])
    np.testing.assert_array_equal(found.cost[0, 1:3], -np.inf)
    assert found.best[0] == found.cost[0, 0]
    assert found.n_unknown[0] == 2
    near = search(models, ready, dof=dof, reach=np.zeros(1))
    np.testing.assert_array_equal(near.model[0, : near.n_near[0]], [0, 1, 2])
    beyond = make_search(np.full((1, 2), 1e30), np.ones((1, 2)), unit_flux=1.0)
    np.testing.assert_array_equal(costs(models, beyond, dof=dof), -np.inf)


def test_too_many_models_are_not_listed():
    rng = np.random.default_rng(8)
    models = library(rng, 5, 5000)
    ready = make_search(*np.array(sed(rng, models, 3.0))[:, None], unit_flux=1.0)
    reach = np.array([10.0])
    every = search(models, ready, dof=math.inf, reach=reach)
    n, best = every.n_near[0], every.best.copy()
    for most, listed in ((n, True), (n - 1, False), (10, False)):
        found = search(models, ready, dof=math.inf, reach=reach, most=np.array([most]), best=best)
        assert (found.n_near[0] <= most) == listed


@FORMS
def test_a_best_model_that_is_known_changes_nothing(dof):
    rng = np.random.default_rng(9)
    models = library(rng, 5, 3001)
    ready = make_search(*np.array(sed(rng, models, 3.0))[:, None], unit_flux=1.0)
    for reach in (np.zeros(1), np.full(1, 5.0), np.full(1, np.inf)):
        want = search(models, ready, dof=dof, reach=reach)
        for known in (want.best[0], want.best[0] + 1, want.best[0] + 1000):
            got = search(models, ready, dof=dof, reach=reach, best=np.full(1, known, np.float32))
            # two ways to take the logarithm of a product
            doubt = 2 * rounding_bound(ready.norm, n_used=5, dof=dof)[0]
            np.testing.assert_allclose(got.best, want.best, rtol=0, atol=doubt)
            assert got.n_near == want.n_near
            n = got.n_near[0]
            np.testing.assert_array_equal(got.model[0, :n], want.model[0, :n])
            np.testing.assert_allclose(got.cost[0, :n], want.cost[0, :n], rtol=0, atol=doubt)


@FORMS
def test_residuals_of_a_million_sigma_do_not_overflow(dof):
    models = library(np.random.default_rng(7), n_band=30, n_model=100)
    flux = 1e6 * np.where(np.arange(30) % 2, 1.0, 3.0)[None]
    got = costs(models, make_search(flux, np.ones((1, 30)), unit_flux=1.0), dof=dof)[0]
    want, _ = exact(flux[0], np.ones(30), models.astype(float), dof)
    np.testing.assert_allclose(got, want, rtol=1e-4)  # sums of single precision


@FORMS
@pytest.mark.parametrize("n", [1, 7, 8, 63, 64, 65, 3001])
def test_models_within_reach(dof, n):
    rng = np.random.default_rng(n)
    models = library(rng, 5, n)
    models[:, n // 2] = 0  # not known, and always within reach
    ready = make_search(*np.array(sed(rng, models, 3.0))[:, None], unit_flux=1.0)
    every = search(models, ready, dof=dof)
    assert every.n_near[0] == n
    cost = every.cost[0, :n]
    np.testing.assert_array_equal(every.model[0, :n], np.arange(n))
    best = cost[np.isfinite(cost)].min(initial=np.inf)
    assert every.best[0] == best
    # Student's t has two ways to take the logarithm of a product, for near models and for all
    doubt = 0.0 if math.isinf(dof) else 2 * rounding_bound(ready.norm, n_used=5, dof=dof)[0]
    for reach in (0.0, 5.0, 30.0):
        found = search(models, ready, dof=dof, reach=np.array([reach]))
        listed = found.model[0, : found.n_near[0]]
        limit = np.float32(best + np.float32(reach))
        want = np.flatnonzero(cost <= limit - doubt)
        assert found.best[0] == pytest.approx(best, rel=0, abs=doubt)
        assert np.isin(want, listed).all()
        assert np.all(cost[listed] <= limit + doubt)
        assert np.all(np.diff(listed) > 0)
        np.testing.assert_allclose(found.cost[0, : len(listed)], cost[listed], rtol=0, atol=doubt)
        np.testing.assert_array_equal(columns(models, want), models[:, want])
        np.testing.assert_array_equal(columns(np.asfortranarray(models), want), models[:, want])


@given(st.floats(2.0**-100, 2.0**100, width=32))
def test_logarithm(x):
    # 2e-7 near one; elsewhere as many digits as the value has
    assert log_single(np.float32(x)) == pytest.approx(math.log(x), rel=2e-7, abs=2e-7)


def test_the_tail_that_is_dropped_is_the_least_and_no_more_than_its_share():
    rng = np.random.default_rng(8)
    costs = rng.gamma(2.0, 8.0, 5000).astype(np.float32)
    weight = np.exp(-0.5 * (costs.astype(float) - costs.min()))
    for share in (1e-6, 1e-3, 0.1):
        models, kept = np.arange(5000, dtype=np.int32), costs.copy()
        n = drop_tail(models, kept, 5000, costs.min(), share, np.inf)
        assert np.array_equal(costs[models[:n]], kept[:n])
        lost = np.setdiff1d(np.arange(5000), models[:n])
        assert weight[lost].sum() <= share * weight.sum() * (1 + 1e-5)
        assert costs[lost].min() >= kept[:n].max()
        # one step of cost more would have been too much
        further = costs >= np.floor(costs[lost].min() - costs.min()) + costs.min() - 1
        assert weight[further].sum() > 0.99 * share * weight.sum()


def test_what_is_not_known_to_count_saves_no_model():
    costs = np.array([0.0, 30.0, -np.inf, 50.0], np.float32)
    for sure, want in ((np.inf, [0, 1, 2]), (0.0, [0, 1, 2, 3])):
        models = np.arange(4, dtype=np.int32)
        n = drop_tail(models, costs.copy(), 4, np.float32(0), 1e-8, sure)
        assert models[:n].tolist() == want
