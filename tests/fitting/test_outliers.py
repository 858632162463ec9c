import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chi2 as chi2_law
from scipy.stats import kstest

from pxdask.core.errors import ConfigError, DataError
from pxdask.fitting.npe_draws import in_units
from pxdask.fitting.outliers import (
    LEAST_MOCKS,
    Law,
    Oddness,
    OutlierLimit,
    learnt_law,
    outlier_limit,
    predictive_p,
    what_is_known,
)
from pxdask.fitting.target import Observed


def units(flux, error, limit=None):
    return in_units(Observed(flux, error, np.zeros(flux.shape, bool) if limit is None else limit))


def test_units_of_errors_by_hand():
    flux, error = np.array([[3.0, 8.0, np.nan, 5.0]]), np.array([[1.0, 2.0, np.nan, 1.0]])
    limit = np.array([[False, False, False, True]])
    found = units(flux, error, limit)
    np.testing.assert_array_equal(found.data, [[3, 4, 0, 0]])
    np.testing.assert_array_equal(found.inverse, [[1, 0.5, 0, 0]])
    assert (found.n_measured[0], found.snr[0], found.best_snr[0]) == (2, 5, 4)
    assert found.best_raw_snr[0] == 4
    # without systematic error the second band is the worse
    raw = in_units(Observed(flux, error, limit, np.array([[0.1, 2.0, np.nan, 1e-3]])))
    assert (raw.best_snr[0], raw.best_raw_snr[0]) == (4, pytest.approx(30))


def test_predictive_p_by_hand():
    # of 2 bands the chance is exp(-chi2 / 2)
    found = predictive_p(2 * np.log([2.0, 4.0]), np.array([0.5, 0.5]), n_band=2)
    assert found == pytest.approx(0.5 * 0.5 + 0.5 * 0.25)
    assert np.isnan(predictive_p(np.zeros(1), np.ones(1), n_band=0))


@pytest.mark.statistical
@pytest.mark.parametrize("dof", [np.inf, 2.0, 5.0])
def test_p_values_of_good_data_are_even(dof):
    rng = np.random.default_rng(8)
    for n_band in (1, 5, 19):
        size = (4000, n_band)
        noise = rng.standard_normal(size) if np.isinf(dof) else rng.standard_t(dof, size)
        chi2 = np.sum(noise**2, axis=1)
        found = [predictive_p(one, np.ones(1), n_band=n_band, dof=dof) for one in chi2[:, None]]
        assert kstest(found, "uniform").pvalue > 1e-3
        # and so are chances without a limit that is learnt
        data = units(np.ones(size), np.ones(size))
        ln_chance = OutlierLimit().ln_chance(
            Oddness(chi2, np.full(4000, np.nan)), data, np.arange(4000), redshift=None, dof=dof
        )
        np.testing.assert_allclose(np.exp(ln_chance), found, rtol=1e-12)


def test_a_limit_without_mocks_is_that_of_noise():
    flux, error = np.ones((2, 10)), np.ones((2, 10))
    error[0, 1:] = np.nan
    # published quantiles of chi-square, of 1 and 10 bands
    found = Oddness(np.array([3.841, 18.307]), np.array([np.nan, 1e9]))
    ln_chance = OutlierLimit().ln_chance(found, units(flux, error), np.arange(2), redshift=None)
    np.testing.assert_allclose(np.exp(ln_chance), 0.05, rtol=1e-3)


def test_a_law_by_hand():
    law = Law(
        mean=(1.0, 2.0),
        ln_variance=(2 * np.log(3.0), 0.0),
        quantiles=tuple(np.linspace(0.0, 1.0, 46)),
        tail=0.5,
    )
    known = np.array([[1.0, 5.0]] * 5)
    # the mean is 11 and the deviation 3: half of the bulk, its end, one tail beyond, below all
    values = np.array([11 + 3 * 0.5, 11 + 3 * 1.0, 11 + 3 * 1.5, 11 - 3.0, np.nan])
    want = [np.log(0.55), np.log(0.1), np.log(0.1) - 1, 0.0, 0.0]
    np.testing.assert_allclose(law.ln_chance(values, known), want, atol=1e-12)
    rows = np.repeat(known[:1], 40, axis=0)
    assert np.all(np.diff(law.ln_chance(np.linspace(0, 50, 40), rows)) <= 0)
    assert law.ln_chance(np.array([np.inf]), known[:1])[0] == -700


@pytest.mark.statistical
def test_a_learnt_law_gives_the_chances_it_says():
    rng = np.random.default_rng(4)
    known = np.column_stack([np.ones(20000), rng.uniform(0, 3, 20000)])
    values = known @ [1.0, 2.0] + np.exp(0.5 * known[:, 1]) * rng.gumbel(size=20000)
    law = learnt_law(values[:10000], known[:10000])
    for part in (0.5, 0.1, 0.03, 0.01):
        beyond = np.exp(law.ln_chance(values[10000:], known[10000:])) < part
        # binomial errors of both halves, 10,000 each: three and a half of them
        allowed = 3.5 * np.sqrt(2 * part * (1 - part) / 10000)
        assert np.mean(beyond) == pytest.approx(part, abs=allowed)
        few = known[10000:, 1] < 1
        assert np.mean(beyond[few]) == pytest.approx(part, abs=2 * allowed)


@pytest.mark.statistical
def test_limits_give_the_false_alarms_that_are_asked_for():
    rng = np.random.default_rng(1)
    n = 16000
    level, n_band = 10 ** rng.uniform(0, 1.5, (n, 1)), rng.integers(8, 20, (n, 1))
    error = np.where(np.arange(19) < n_band, 1.0, np.nan)
    data = units(level * rng.uniform(0.5, 2, (n, 19)), error)
    redshift = rng.uniform(1, 6, n)
    fitted = 1 + 3 * np.log10(level[:, 0]) / 1.5
    chi2 = chi2_law.rvs(n_band[:, 0] - fitted, random_state=rng)
    gap = 3 + 2 * np.log(level[:, 0]) + 0.8 * rng.standard_normal(n) + 0.02 * chi2
    rows = np.arange(n)
    known = what_is_known(data, rows, redshift=redshift)
    half = n // 2
    limit = outlier_limit(Oddness(chi2[:half], gap[:half]), known[:half])
    limit = OutlierLimit.from_json(json.loads(json.dumps(limit.to_json())))
    late = Oddness(chi2[half:], gap[half:])
    ln_chance = limit.ln_chance(late, data, rows[half:], redshift=redshift[half:])
    beyond = ln_chance < np.log(0.04)
    # binomial error of 8,000: 0.0022; that of a learnt limit is as large
    assert np.mean(beyond) == pytest.approx(0.04, abs=0.01)
    for part in (level[half:, 0] < 6, level[half:, 0] >= 6, n_band[half:, 0] < 12):
        assert np.mean(beyond[part]) == pytest.approx(0.04, abs=0.015)
    # either figure tells: five of its deviations above what is usual
    odd = Oddness(late.chi2, late.gap + 4)
    told = limit.ln_chance(odd, data, rows[half:], redshift=redshift[half:]) < np.log(0.04)
    assert np.mean(told) > 0.95
    alone = limit.ln_chance(Oddness(chi2[-1:], gap[-1:]), data, rows[-1:], redshift=redshift[-1:])
    np.testing.assert_array_equal(alone, ln_chance[-1:])


@pytest.mark.statistical
def test_an_unlikely_redshift_is_told():
    rng = np.random.default_rng(5)
    n, half = 8000, 4000
    data = units(5 * rng.uniform(0.5, 2, (n, 19)), np.ones((n, 19)))
    rows, redshift = np.arange(n), rng.uniform(1, 6, n)
    known = what_is_known(data, rows, redshift=redshift)
    # redshifts known to a deviation of 0.1 of a span of 5
    place = rng.standard_normal(n)
    figure = np.log(0.1 * np.sqrt(2 * np.pi) / 5) + 0.5 * place**2
    found = Oddness(chi2_law.rvs(15, size=n, random_state=rng), 3 + rng.standard_normal(n), figure)
    limit = outlier_limit(Oddness(*(each[:half] for each in found)), known[:half])
    assert limit.redshift is not None
    limit = OutlierLimit.from_json(json.loads(json.dumps(limit.to_json())))

    def called(redshift_figure):
        late = Oddness(found.chi2[half:], found.gap[half:], redshift_figure)
        chance = limit.ln_chance(late, data, rows[half:], redshift=redshift[half:])
        return np.mean(chance < np.log(0.04))

    # binomial error of 4,000: 0.003; that of a learnt limit is as large
    assert called(figure[half:]) == pytest.approx(0.04, abs=0.015)
    # six deviations off
    assert called(figure[half:] + 0.5 * ((place[half:] + 6) ** 2 - place[half:] ** 2)) > 0.95
    # not known, it does not count: fewer are called outliers
    assert called(None) == called(np.full(n - half, np.nan)) < 0.04


def test_a_limit_of_two_figures_by_hand():
    law = Law(mean=(0.0,) * 9, ln_variance=(0.0,) * 9, quantiles=(0.0,) * 46, tail=1.0)
    one = replace(law, mean=(0.0,), ln_variance=(0.0,))
    stored = {"chi2": law.to_json(), "gap": law.to_json(), "total": one.to_json()}
    limit = OutlierLimit.from_json(stored)
    assert limit == OutlierLimit(chi2=law, gap=law, total=one)
    # tails of one: chances of 0.1 exp(-2) and 0.1 exp(-3), and of their sum, by hand; the redshift
    # has no law
    found = Oddness(np.array([2.0]), np.array([3.0]), np.array([1e3]))
    data = units(np.ones((1, 5)), np.ones((1, 5)))
    total = 2 * np.log(10) + 5
    ln_chance = limit.ln_chance(found, data, np.arange(1), redshift=np.array([2.0]))
    np.testing.assert_allclose(ln_chance, -np.log(10) - total)


def test_limits_of_another_version_are_refused():
    law = Law(mean=(0.0,) * 30, ln_variance=(0.0,), quantiles=(0.0,) * 46, tail=1.0)
    with pytest.raises(ConfigError, match="they tell of both; train it anew"):
        OutlierLimit.from_json({"both": law.to_json()})
    data, found = units(np.ones((1, 5)), np.ones((1, 5))), Oddness(np.ones(1), np.ones(1))
    with pytest.raises(ConfigError, match="depend on 30 figures"):
        OutlierLimit(chi2=law, gap=law, total=law).ln_chance(
            found, data, np.arange(1), redshift=np.array([2.0])
        )


def test_too_few_mocks():
    few = Oddness(np.append(np.ones(299), np.inf), np.ones(300))
    with pytest.raises(DataError, match=r"299 good SEDs .* wanted 300"):
        outlier_limit(few, np.ones((300, 1)))
    assert LEAST_MOCKS == 300
