import sys

import numpy as np
import pytest

from pxdask.core.errors import ConfigError
from pxdask.core.random import stream
from pxdask.fitting.convergence import autocorrelation_time
from pxdask.fitting.ensemble import advance
from pxdask.kernels.mixture import fit_mixture

MEANS = np.array([[0.0, 1.0, -2.0], [5.0, 0.0, 0.0]])
COVARIANCE = np.array([[1.0, 0.9, 0.0], [0.9, 1.0, 0.3], [0.0, 0.3, 4.0]])


def gaussians(position, sed):
    apart = position - MEANS[sed]
    return -0.5 * np.sum(apart @ np.linalg.inv(COVARIANCE) * apart, axis=1)


def chains(seds=(0, 1), *, n_step=100, n_walker=40, mixed=False, ln_density=gaussians):
    """Chains of some SEDs, which start in equilibrium."""
    generators = [stream(7, "sed", sed) for sed in seds]
    root = np.linalg.cholesky(COVARIANCE)
    start = np.stack(
        [
            MEANS[sed] + rng.standard_normal((n_walker, 3)) @ root.T
            for sed, rng in zip(seds, generators, strict=True)
        ]
    )
    of = np.array(seds)

    def density(position, sed):
        return ln_density(position, of[sed])

    ln_start = density(start.reshape(-1, 3), np.repeat(np.arange(len(of)), n_walker))
    mixtures = None
    if mixed:
        mixtures = [
            fit_mixture(one, n_component=2, n_round=5, rng=rng)
            for one, rng in zip(start, generators, strict=True)
        ]
    return advance(
        density,
        start,
        ln_start.reshape(len(of), n_walker),
        generators,
        n_step=n_step,
        scale=2.0,
        mixtures=mixtures,
    )


@pytest.mark.parametrize("mixed", [False, True])
def test_a_gaussian_is_left_as_it_is(mixed):
    found = chains(n_step=3000, mixed=mixed)
    for i in range(2):
        chain = found.position[:, i]
        tau = autocorrelation_time(chain).max()
        n_eff = chain.shape[0] * chain.shape[1] / tau
        flat = chain.reshape(-1, 3)
        # four deviations of a mean and of a covariance: sqrt(2 / n) at the most
        error = 4 * np.sqrt(np.diag(COVARIANCE) / n_eff)
        assert np.all(np.abs(flat.mean(axis=0) - MEANS[i]) < error)
        width = np.sqrt(np.diag(COVARIANCE))
        error = 4 * np.sqrt(2 / n_eff) * np.outer(width, width)
        assert np.all(np.abs(np.cov(flat.T) - COVARIANCE) < error)
        assert tau < (25 if mixed else 60)


@pytest.mark.parametrize("mixed", [False, True])
def test_an_seds_chain_does_not_depend_on_the_others(mixed):
    both, alone, swapped = (chains(seds, mixed=mixed) for seds in ((0, 1), (1,), (1, 0)))
    for other, i in ((alone, 0), (swapped, 0)):
        np.testing.assert_array_equal(other.position[:, i], both.position[:, 1])
        np.testing.assert_array_equal(other.ln_density[:, i], both.ln_density[:, 1])
        assert other.n_accepted[i] == both.n_accepted[1]


def test_what_is_told_of_the_chains_is_true():
    found = chains()
    assert found.position.shape == (100, 2, 40, 3)
    flat = found.position.reshape(-1, 3)
    sed = np.tile(np.repeat([0, 1], 40), 100)
    np.testing.assert_allclose(
        found.ln_density.ravel(), gaussians(flat, sed), rtol=1e-12, atol=1e-12
    )
    moved = np.any(np.diff(found.position, axis=0) != 0, axis=-1).sum(axis=(0, 2))
    # the first step's moves are not seen in differences
    assert np.all((moved <= found.n_accepted) & (found.n_accepted <= moved + 40))


def test_zero_density_and_no_density_are_never_entered():
    def slab(position, sed):
        found = gaussians(position, sed)
        found[position[:, 2] > 0] = -np.inf
        found[position[:, 2] < -4] = np.nan
        return found

    rng = stream(1)
    start = MEANS[0] + 0.5 * rng.standard_normal((1, 20, 3))
    ln_start = slab(start[0], np.zeros(20, int))[None]
    found = advance(slab, start, ln_start, [rng], n_step=100, scale=2.0)
    assert np.all((found.position[..., 2] <= 0) & (found.position[..., 2] >= -4))
    assert found.n_accepted[0] > 200


def test_without_emcee_the_way_out_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "emcee", None)
    with pytest.raises(ConfigError, match="pip install"):
        chains(n_step=1)
