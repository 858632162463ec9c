import math

import emcee
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxdask.fitting.convergence import (
    BURN_IN,
    autocorrelation_time,
    burn_in,
    thinning,
)
from pxdask.kernels.chain_spread import split_rhat


def autoregressive(rho, *, n_step, n_walker=50, seed=0):
    """Chains x(t + 1) = rho x(t) + noise, of unit variance from the first step on."""
    rng = np.random.default_rng(seed)
    chain = np.empty((n_step, n_walker, len(rho)))
    chain[0] = rng.standard_normal(chain[0].shape)
    for t in range(1, n_step):
        noise = rng.standard_normal(chain[0].shape)
        chain[t] = np.array(rho) * chain[t - 1] + np.sqrt(1 - np.array(rho) ** 2) * noise
    return chain


def test_autoregressive_chains_have_the_time_of_the_formula():
    rho = np.array([0.0, 0.5, 0.9])
    chain = autoregressive(rho, n_step=4000)
    # (1 + rho) / (1 - rho) = 1, 3, 19. The window ends at 5 tau, where exp(-10) is left out; the
    # estimate scatters by sqrt(4 * 5 tau / N): at tau = 19 and N = 200,000, by 4.4 per cent.
    np.testing.assert_allclose(autocorrelation_time(chain), (1 + rho) / (1 - rho), rtol=0.12)
    np.testing.assert_allclose(
        autocorrelation_time(chain.astype(np.float32)), autocorrelation_time(chain), rtol=1e-4
    )


def test_the_time_is_that_of_emcee_where_walkers_mix():
    chain = autoregressive([0.3, 0.8], n_step=5000)
    # emcee takes each walker's own mean: lower by about 2 tau / n_step
    np.testing.assert_allclose(
        autocorrelation_time(chain), emcee.autocorr.integrated_time(chain), rtol=0.02
    )


def test_walkers_that_stay_apart_are_seen_by_both():
    chain = autoregressive([0.5], n_step=1000, n_walker=20)
    chain += np.where(np.arange(20) % 2, 3.0, -3.0)[:, None]
    assert autocorrelation_time(chain)[0] > 100
    # means +-3 within a deviation of 1: sqrt(1 + 9 * 40 / 39) = 3.2
    assert split_rhat(chain)[0] == pytest.approx(math.sqrt(1 + 9 * 40 / 39), rel=0.05)


def test_rhat_by_hand():
    # two halves of one walker: (0, 2) and (4, 6). W = 2, means 1 and 5: B / n = 8
    chain = np.array([0.0, 2.0, 4.0, 6.0]).reshape(4, 1, 1)
    np.testing.assert_allclose(split_rhat(chain), math.sqrt(1 / 2 + 8 / 2), rtol=1e-12)


def test_rhat_of_mixed_and_of_drifting_chains():
    chain = autoregressive([0.0], n_step=2000)
    # 1 + 1 / (2 n): sqrt(999 / 1000 + 1 / 1000), to the scatter of 100 variances
    assert abs(split_rhat(chain)[0] - 1) < 1e-3
    drift = np.linspace(-2, 2, 2000)[:, None, None]
    assert split_rhat(chain + drift)[0] > 1.2


@given(st.floats(-5, 5), st.floats(0.01, 100))
def test_neither_depends_on_origin_and_unit(origin, unit):
    chain = autoregressive([0.6], n_step=60, n_walker=4)
    for measure in (autocorrelation_time, split_rhat):
        np.testing.assert_allclose(measure(origin + unit * chain), measure(chain), rtol=1e-6)


def test_chains_too_short_or_constant():
    constant = np.ones((50, 4, 2))
    assert np.all(np.isnan(autocorrelation_time(constant)))
    assert np.all(np.isnan(split_rhat(constant)))
    assert np.all(np.isnan(autocorrelation_time(np.ones((1, 4, 2)))))
    assert np.all(np.isnan(split_rhat(np.ones((3, 4, 2)))))


def test_burn_in_and_thinning_by_hand():
    assert burn_in(1000, tau=10.2) == math.ceil(BURN_IN * 10.2) == 51
    assert burn_in(1000, tau=400.0) == 500
    assert burn_in(1000, tau=math.nan) == 500
    assert thinning(1000, 100, tau=21.0, most=100_000) == 10
    assert thinning(1000, 100, tau=21.0, most=1000) == 100
    assert thinning(1000, 100, tau=1.0, most=100_000) == 1
    assert thinning(10, 100, tau=math.nan, most=10**6) == 1
