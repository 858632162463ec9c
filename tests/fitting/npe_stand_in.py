"""A density that stands for a trained network: wide, about the best of many models."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import ndtr, ndtri

from pxdask.fitting.npe import NpeModels
from pxdask.fitting.npe_trust import Trust
from pxdask.fitting.target import Sampled
from pxdask.npe.network import Draws
from pxdask.sps.sampling import unit_points

_LN_2PI = np.log(2 * np.pi)


@dataclass(frozen=True)
class StandIn:
    """Draws from a Gaussian about the best of some models, displaced and widened as asked.

    In coordinates where priors are standard normal; its density is right, whatever it is.
    """

    sampled: Sampled
    width: float = 0.6
    mass_width: float = 0.15
    offset: float = 0.0
    n_models: int = 4096

    def draw(self, flux, error, *, redshift, rngs, n_draws):
        n_sed, n_dim = len(flux), self.sampled.simulator.n_dim
        unit, log_mass = np.full((n_sed, n_draws, n_dim), np.nan), np.full((n_sed, n_draws), np.nan)
        for i, (centre, middle) in enumerate(self._centres(flux, error)):
            normal = rngs[i].standard_normal((n_draws, n_dim + 1))
            unit[i] = ndtr(np.clip(centre + self.width * normal[:, :-1], -6, 6))
            log_mass[i] = middle + self.mass_width * normal[:, -1]
        found = self.ln_density(flux, error, redshift=redshift, unit=unit, log_mass=log_mass)
        return Draws(unit, log_mass, found)

    def ln_density(self, flux, error, *, redshift, unit, log_mass):  # noqa: ARG002  the protocol's
        found = np.empty(log_mass.shape)
        for i, (centre, middle) in enumerate(self._centres(flux, error)):
            place = ndtri(unit[i])
            square = np.sum(((place - centre) / self.width) ** 2, axis=1)
            square += ((log_mass[i] - middle) / self.mass_width) ** 2
            n_dim = place.shape[1]
            ln_norm = n_dim * np.log(self.width) + np.log(self.mass_width) + 0.5 * _LN_2PI
            found[i] = -0.5 * square - ln_norm + 0.5 * np.sum(place**2, axis=1)
        return found

    @cached_property
    def _models(self):
        """Points of the cube and their fluxes."""
        simulator = self.sampled.simulator
        unit = unit_points("sobol", n_dim=simulator.n_dim, seed=11, start=0, stop=self.n_models)
        return unit, simulator.simulate(unit).flux.astype(float)

    def _centres(self, flux, error):
        """Yield where in the cube, as deviates, and at what log mass each SED's Gaussian is."""
        unit, model = self._models
        for one_flux, one_error in zip(flux, error, strict=True):
            good = np.isfinite(one_flux) & np.isfinite(one_error) & (one_error > 0)
            scaled, signal = model[:, good] / one_error[good], one_flux[good] / one_error[good]
            scale = (scaled @ signal) / np.sum(scaled**2, axis=1)
            chi2 = np.sum((signal - scale[:, None] * scaled) ** 2, axis=1)
            best = int(np.argmin(np.where(scale > 0, chi2, np.inf)))
            middle = np.log10(scale[best]) if scale[best] > 0 else 0.0
            yield np.clip(ndtri(unit[best]), -2, 2) + self.offset, middle


@dataclass(frozen=True)
class StandInFitter:
    """The fitter with a stand-in for the network, and a limit of outliers without mocks."""

    settings: object
    network: dict | None = None

    def prepare(self, library):
        sampled = Sampled(self.settings, library)
        return NpeModels(sampled, StandIn(sampled, **(self.network or {})), Trust(sampled))
