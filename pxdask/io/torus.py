"""The dusty torus of an active galactic nucleus: the CLUMPY models that FSPS uses."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.constants import C_ANGSTROM_S
from pxdask.core.errors import ConfigError
from pxdask.kernels.spectra import rebin

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TABLE = "data/nenkova08.txt"
_FINE = 8192
"""Wavelengths per table's range at which power laws between its samples are drawn [1]."""


@dataclass(frozen=True, slots=True)
class Torus:
    """Spectra of tori whose clouds differ in optical depth.

    Attributes
    ----------
    tau : (n_tau,) float64
        Optical depth of a cloud in the V band, increasing.
    spectra : (n_tau, n_wave) float64
        Mean over each wavelength bin, of unit luminosity [Angstrom-1].
    """

    tau: NDArray[np.float64]
    spectra: NDArray[np.float64]


def torus_spectra(edges: NDArray[np.float64]) -> Torus:
    """Return the emission of the torus in wavelength bins.

    Parameters
    ----------
    edges : (n_wave + 1,) float64
        Edges of the bins, rest frame, increasing [Angstrom].

    Returns
    -------
    torus : Torus
        Nine optical depths from 5 to 150. Each spectrum integrates to exactly 1 over the
        bins; it is zero outside 150 Angstrom - 3.6 cm, where the table ends.

    Raises
    ------
    ConfigError
        If the bins hold less than 90 per cent of the emission.

    Notes
    -----
    Nenkova et al. (2008, ApJ 685, 160), as FSPS tabulates them (Conroy & Gunn 2010; AGN:
    Leja et al. 2018, ApJ 854, 62). Flux densities between its samples are power laws.
    """
    table = np.loadtxt(files("pxdask.io").joinpath(_TABLE).read_text(encoding="utf-8").split("\n"))
    tau, wave, flux = table[0, 1:], table[2:, 0], table[2:, 1:].T
    ends = [min(edges[0], wave[0] / 2), max(edges[-1], wave[-1] * 2)]
    ends += [wave[0] * (1 - 1e-9), wave[-1] * (1 + 1e-9)]  # steps, not slopes, to zero
    points = np.union1d(np.geomspace(wave[0], wave[-1], _FINE), [*ends, *wave])
    per_hz = np.stack([np.interp(np.log(points), np.log(wave), np.log(row)) for row in flux])
    inside = (points >= wave[0]) & (points <= wave[-1])
    sampled = np.where(inside, np.exp(per_hz), 0.0) * C_ANGSTROM_S / points**2
    means = rebin(points, sampled, edges)
    held = np.sum(means * np.diff(edges), axis=1, keepdims=True)
    total = np.trapezoid(sampled, points, axis=1)
    if np.any(held[:, 0] < 0.9 * total):
        raise ConfigError(
            f"wavelength bins from {edges[0]:g} to {edges[-1]:g} Angstrom hold"
            f" {np.min(held[:, 0] / total):.1%} of the AGN torus; they must hold 90 %:"
            " 1e4 to 1e6 Angstrom will do"
        )
    return Torus(tau=tau, spectra=means / held)
