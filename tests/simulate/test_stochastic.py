import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxdask.core.errors import ConfigError
from pxdask.simulate.stochastic import (
    FIRST_STARS,
    PARTICLE_MASS,
    RATE_SPAN,
    damped_walk,
    draw_assembly,
    time_bins,
)

UNIVERSE = 13.4


def walk(time, *, seed=5, sigma=0.3, correlation_time=0.2):
    rng = np.random.default_rng(seed)
    return damped_walk(time, sigma=sigma, correlation_time=correlation_time, rng=rng)


def assembly(log_mass, *, seed=5, **given):
    rng = np.random.default_rng(seed)
    return draw_assembly(np.array(log_mass, float), universe=UNIVERSE, rng=rng, **given)


@pytest.mark.statistical
def test_a_walk_forgets_as_it_is_told():
    rng = np.random.default_rng(1)
    time = np.array([0.0, 0.2, 0.3])
    walks = np.array(
        [damped_walk(time, sigma=0.3, correlation_time=0.2, rng=rng) for _ in range(20000)]
    )
    # 20,000 draws: a correlation is known to 0.007, a variance to 1 per cent
    assert np.var(walks, axis=0) == pytest.approx(0.09, rel=0.04)
    correlation = np.corrcoef(walks.T)
    assert correlation[0, 1] == pytest.approx(np.exp(-1), abs=0.03)
    assert correlation[1, 2] == pytest.approx(np.exp(-0.5), abs=0.03)
    assert correlation[0, 2] == pytest.approx(np.exp(-1.5), abs=0.03)


@given(st.floats(-100, 100), st.floats(0.01, 10))
def test_a_walk_knows_only_spacings_in_its_own_time(shift, stretch):
    time = np.array([0.0, 0.125, 0.5, 2.0, 2.25])
    other = walk(stretch * time + shift, correlation_time=0.2 * stretch)
    np.testing.assert_allclose(other, walk(time), atol=1e-7)  # spacings lose digits to the shift
    np.testing.assert_allclose(walk(-time), walk(time))


def test_a_walk_of_no_width_stays():
    assert not np.any(walk(np.arange(4.0), sigma=0.0))
    assert walk(np.array([3.0])).shape == (1,)


def test_bins_reach_from_now_to_the_first_stars():
    edges = time_bins(UNIVERSE)
    assert edges[0] == 0
    assert edges[-1] == pytest.approx(UNIVERSE - FIRST_STARS)
    assert np.diff(edges)[:100] == pytest.approx(0.01)
    assert np.all(np.diff(edges)[100:] <= 0.05 + 1e-12)
    with pytest.raises(ConfigError, match="wanted more than"):
        time_bins(1.2)


def test_shares_add_up_and_some_stars_are_young():
    log_mass = np.linspace(9, 11.4, 25)
    made = assembly(log_mass)
    assert np.all(made.formed >= 0)
    np.testing.assert_allclose(np.sum(made.formed, axis=1), 1)
    recent = np.sum(made.formed[:, made.edges[1:] <= RATE_SPAN + 1e-9], axis=1)
    assert np.all(recent * 10**log_mass > PARTICLE_MASS)


def test_a_galaxy_does_not_depend_on_the_others():
    alone, among = assembly([10.0]), assembly([10.0, 9.0, 11.0])
    np.testing.assert_array_equal(alone.formed[0], among.formed[0])
    np.testing.assert_array_equal(alone.logzsol[0], among.logzsol[0])


def test_metals_grow_and_follow_mass():
    made = assembly([*[9.2] * 40, *[11.2] * 40])
    assert np.all(np.diff(made.logzsol, axis=1) <= 1e-12)  # bins go back in time
    mean = np.log10(np.sum(made.formed * 10**made.logzsol, axis=1))
    # the relation gives a difference of 0.4 dex, less what the ends cut; scatter 0.12 dex
    assert 0.25 < np.mean(mean[40:]) - np.mean(mean[:40]) < 0.45


def test_without_bursts_histories_are_smooth():
    rough, smooth = assembly([9.5] * 20), assembly([9.5] * 20, bursts=(0.0, 0.0))
    recent = slice(0, 100)
    assert np.all(np.abs(np.diff(np.log10(smooth.formed[:, recent]), axis=1)) < 0.03)
    kicks = np.std(np.diff(np.log10(rough.formed[:, recent]), axis=1), axis=1)
    # sigma sqrt(2 (1 - exp(-dt / tau))): 0.04 dex for the calmest, 0.22 for the wildest
    assert np.all(kicks > 0.03)
    assert np.all(kicks < 0.3)


def test_a_galaxy_too_small_to_be_resolved_is_refused():
    with pytest.raises(ConfigError, match="last 50 Myr"):
        assembly([4.0])
