"""The first models of a library against an SED, where samplers begin."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pxdask.kernels.importance import evened_out
from pxdask.kernels.pair_likelihood import pair_ln_likelihood

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from pxdask.fitting.spectral_data import SpectralLikelihood

    Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FirstModels:
    """Models among which samplers look for a start.

    Attributes
    ----------
    unit : (n_model, n_dim) float64
        Points of the cube.
    parameters : mapping of (n_model,) float64
        Free parameters.
    flux : (n_model, n_band) float32
        Per mass formed [uJy Msun-1].
    """

    unit: Floats
    parameters: Mapping[str, Floats]
    flux: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class FirstLook:
    """The first models against one SED, each at the amplitude that fits its measured bands best.

    Attributes
    ----------
    scale : (n_first,) float64
        Amplitude [Msun]; NaN where no band is measured, and any number where the best is not
        positive.
    ln_likelihood : (n_first,) float64
        Natural log of the likelihood at that amplitude; -inf where it is not positive, or NaN.
    """

    scale: Floats
    ln_likelihood: Floats

    @property
    def best_scale(self) -> float:
        """Amplitude of the best model [Msun]; NaN where none is positive."""
        best = int(np.argmax(self.ln_likelihood))
        return float(self.scale[best]) if np.isfinite(self.ln_likelihood[best]) else math.nan

    def with_spectrum(self, found: SpectralLikelihood) -> FirstLook:
        """Return the same of as many models as there are spectra, these counting too.

        Amplitudes are those of the spectra where bands tell none.
        """
        n = len(found.scale)
        none = ~np.isfinite(self.scale[:n])
        usable = none & (np.nan_to_num(found.scale) > 0)
        scale = np.where(usable, found.scale, self.scale[:n])
        of_bands = np.where(usable, 0.0, self.ln_likelihood[:n])
        return FirstLook(scale, of_bands + found.ln_likelihood)

    def drawn(self, n: int, rng: np.random.Generator) -> NDArray[np.intp]:
        """Return models (n,) drawn by their likelihood.

        It is raised to a power at which at least half as many count as are drawn.
        """
        weight = evened_out(self.ln_likelihood, n_eff=0.5 * n, factor=0.7)
        return np.asarray(rng.choice(weight.size, size=n, p=weight / weight.sum()))


def first_look(
    flux: Floats,
    error: Floats,
    limit: NDArray[np.bool_],
    model: NDArray[np.float32],
    *,
    dof: float,
) -> FirstLook:
    """Return what models say of the bands of an SED.

    Parameters
    ----------
    flux, error : (n_band,) float64
        Flux density or upper limit, and its uncertainty [uJy]; NaN where left out.
    limit : (n_band,) bool
        Upper limits.
    model : (n_first, n_band) float32
        Per mass formed [uJy Msun-1].
    dof : float
        Degrees of freedom of Student's t; infinity: the Gaussian [1].
    """
    measured = np.isfinite(error) & ~limit
    # in units of the error, so that nothing overflows where fluxes are extreme
    inverse = np.where(measured, 1 / error, 0.0)
    signal = np.where(measured, flux * inverse, 0.0)
    scaled = model * inverse
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        scale = np.sum(scaled * signal, axis=1) / np.sum(scaled * scaled, axis=1)
    usable = np.isfinite(scale) & (scale > 0)
    ln_likelihood = pair_ln_likelihood(
        flux[None],
        error[None],
        limit[None],
        model,
        scale=np.where(usable, scale, 0.0),
        sed=np.zeros(len(model), np.intp),
        dof=dof,
    )
    return FirstLook(scale, np.where(usable, ln_likelihood, -np.inf))
