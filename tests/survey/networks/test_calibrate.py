"""Figures of merit of a network say what they must of posteriors that are exact."""

from dataclasses import dataclass, field, fields
from functools import cached_property

import numpy as np
import pytest

from pxdask.npe.features import inputs
from pxdask.npe.mocks import make_mocks
from pxdask.npe.network import Draws, Network
from pxdask.npe.noise import broad_noise
from pxdask.npe.targets import relative_scale
from pxdask.survey.networks.calibrate import calibration
from tests.fitting.small import filters, populations
from tests.npe.small import BANDS, fit_settings, library, network

N_POOL = 40_000


@dataclass(frozen=True, eq=False)
class Blind(Network):
    """One that knows nothing of an SED but its brightness, and so draws from the prior.

    That is an exact posterior, of the brightness alone: the prior of the cube and of the mass over
    the brightness, from mocks of its own.
    """

    shift: float = field(default=0.0)

    @classmethod
    def of(cls, own, **changed):
        return cls(**{each.name: getattr(own, each.name) for each in fields(own)}, **changed)

    @cached_property
    def pool(self):
        """Points of the cube, and masses over the brightness, of independent mocks."""
        made = make_mocks(
            library(),
            broad_noise(BANDS),
            n=N_POOL,
            seed=99,
            settings=fit_settings(),
            points="random",
        )
        return made.unit, made.log_mass - self.offset(made.flux, made.error, made.redshift)

    def offset(self, flux, error, redshift):
        return relative_scale(inputs(flux, error).scale, redshift, self.models)

    def draw(self, flux, error, *, redshift, rngs, n_draws):
        unit, relative = self.pool
        offset = self.offset(flux, error, redshift)
        rows = np.array([rng.integers(0, len(unit), n_draws) for rng in rngs])
        log_mass = relative[rows] + offset[:, None] + self.shift
        return Draws(unit[rows], log_mass, np.zeros_like(log_mass))


def checked(n, *, seed=1, **changed):
    own = Blind.of(network(), **changed)
    object.__setattr__(own, "origin", {**own.origin, "seed": seed})
    return calibration(own, ssp=populations(), curves=filters(), n=n)


@pytest.mark.statistical
def test_exact_posteriors_have_no_tarp_but_noise():
    found = checked(3000)
    # the Kolmogorov distribution is beyond 3 medians once in 1e5
    assert found.tarp < 3 * found.tarp_noise
    assert np.all(np.abs(found.coverage - 0.68) < 5 * np.sqrt(0.68 * 0.32 / found.n_mock))
    assert np.all(found.p_value > 1e-4)


@pytest.mark.statistical
def test_a_wrong_posterior_has_tarp():
    # a shift of half of the width of the target of mass
    found = checked(3000, shift=0.35)
    assert found.tarp > 3 * found.tarp_noise
    assert found.p_value[-1] < 1e-4


@pytest.mark.statistical
def test_distances_are_those_of_independent_truths():
    """The mean of sqrt(n) times the distance is 0.8687 for exact posteriors (Kolmogorov 1933).

    Truths that are spread evenly over the prior would be nearer to even than any network's are.
    """
    found = [checked(500, seed=seed) for seed in range(12)]
    each = np.concatenate([np.sqrt(one.n_mock) * one.distance for one in found])
    # deviation 0.2603 (Kolmogorov); of 48 numbers, some of which are of the same mocks; selection
    # by S/N is the pool's too. Ranks of 400 draws add 0.5 / 400 sqrt(500) = 0.03 at most
    assert np.mean(each) == pytest.approx(0.8687, abs=3.5 * 0.2603 / np.sqrt(48) + 0.03)
