"""Made-up stellar populations, for tests and for trying things out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from pxdask.core.constants import LSUN_ERG_S
from pxdask.core.schema import SSP
from pxdask.kernels.igm import LYMAN_LIMIT

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PLANCK = 1.438776877e8
"""Second radiation constant h c / k [Angstrom K]; CODATA 2018."""
_PHOTON = 1.98644586e-8
"""Energy of a photon times its wavelength, h c [erg Angstrom]; CODATA 2018."""
_H_BETA = 4.76e-13 / LSUN_ERG_S * 1e46
"""H beta luminosity per ionising photon, case B at 10^4 K [1e-46 Lsun s]; Osterbrock."""
_HYDROGEN = {1215.67: 23.0, 4341.68: 0.47, 4862.68: 1.0, 6564.61: 2.86}
"""Lines of hydrogen [Angstrom, vacuum] and their strength, in units of H beta; case B."""
_OXYGEN = {4960.3: 1.4, 5008.24: 4.0}
"""Lines of oxygen likewise; round numbers."""
_CONTINUUM = 9.0
"""Luminosity of the nebular continuum in units of H beta; for a width of 1000 Angstrom."""
_PAH = {3.3e4: 0.03, 6.2e4: 0.16, 7.7e4: 0.43, 8.6e4: 0.1, 11.3e4: 0.17, 12.6e4: 0.11}
"""PAH features [Angstrom] and their share of the PAHs' light; round numbers."""
_POWER_PER_U = 137.0
"""Power per dust mass in the local starlight [Lsun Msun-1]; near Draine & Li (2007)."""


def synthetic_ssp(*, n_wave: int = 300) -> xr.Dataset:
    """Return populations that shine like black bodies: cooler and fainter with age.

    Parameters
    ----------
    n_wave : int
        Wavelength bins between 91 Angstrom and 1 mm.

    Returns
    -------
    ssp : Dataset
        Schema ``ssp/2``; 3 metallicities, 54 ages, nebulae at 3 ionisation parameters, 3
        metallicities and 3 ages, grey-body dust and torus. They behave like stars, gas and
        dust in kind only, and say so in ``attrs["library"]``.
    """
    log_z, log_age = np.array([-2.0, -0.7, 0.5]), np.round(np.arange(54) * 0.1 + 5, 1)
    edges = np.geomspace(91.0, 1e7, n_wave + 1)
    wave, width = np.sqrt(edges[1:] * edges[:-1]), np.diff(edges)
    flux = _stars(log_z, log_age, edges)
    photons = flux * (wave * width) * (LSUN_ERG_S / _PHOTON / 1e46)
    log_u, log_age_young = np.array([-4.0, -2.0, 0.0]), np.array([6.0, 6.5, 7.0])
    q_pah, u_min = np.array([0.47, 2.5, 4.58]), np.array([0.1, 0.5, 2.0, 8.0, 25.0])
    dust = _dust(q_pah, u_min, edges)
    tau_agn = np.array([5.0, 40.0, 150.0])
    values = {
        "log_z": log_z,
        "log_age": log_age,
        "wave": wave,
        "wave_edges": edges,
        "flux": flux,
        "surviving": np.tile(1 - 0.06 * np.clip(log_age - 6, 0, None), (3, 1)),
        "luminosity": np.sum(flux * width, axis=-1, dtype=np.float64),
        "ionising": np.sum(photons[..., wave < LYMAN_LIMIT], axis=-1, dtype=np.float64),
        "log_u": log_u,
        "log_zgas": log_z,
        "log_age_young": log_age_young,
        "nebular": _nebular(log_u, log_z, log_age_young, edges),
        "q_pah": q_pah,
        "u_min": u_min,
        "dust": dust,
        "dust_power": np.sum(dust * width, axis=-1, dtype=np.float64),
        "tau_agn": tau_agn,
        "torus": _torus(tau_agn, edges),
    }
    ds = xr.Dataset(
        {
            name: (var.dims, np.asarray(values[name], var.dtype), SSP.attrs(name))
            for name, var in SSP.variables.items()
        },
        attrs={"schema": SSP.tag, "library": "synthetic", "imf": "none", "source": "pxdask"},
    )
    return SSP.validate(ds)


def _stars(
    log_z: NDArray[np.float64], log_age: NDArray[np.float64], edges: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return stellar spectra (met, age, wave) that fade and cool after the first Myr."""
    past_first_myr = np.clip(log_age - 6, 0, None)
    temperature = 10 ** (4.6 - 0.28 * past_first_myr - 0.03 * log_z[:, None])
    luminosity: NDArray[np.float64] = 10 ** (3.0 - 0.75 * past_first_myr)
    return luminosity[:, None] * _black_body(edges, temperature)


def _nebular(
    log_u: NDArray[np.float64],
    log_z: NDArray[np.float64],
    log_age: NDArray[np.float64],
    edges: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return nebular spectra (log_u, gas, young, wave) of less than 13.6 eV per photon."""
    smooth = _lines(_HYDROGEN, edges) + _CONTINUUM * _black_body(edges, 8000.0)
    ionised = 1 + 0.2 * (log_u[:, None, None] + 2)
    oxygen = 10 ** (-0.3 * log_z[:, None] ** 2) * (1 - 0.3 * (log_age - 6))
    return _H_BETA * (smooth + (ionised * oxygen)[..., None] * _lines(_OXYGEN, edges))


def _dust(
    q_pah: NDArray[np.float64], u_min: NDArray[np.float64], edges: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return dust emission (component, qpah, umin, wave).

    Grey bodies that warm with the starlight U, and PAHs. In the second component, where the
    dust mass goes as U**-2, each interval of ln U gives the same power.
    """
    u_max, x = 1e6, (np.arange(16) + 0.5) / 16
    lit = u_min[:, None] * (u_max / u_min[:, None]) ** x
    grey = np.stack([_grey_body(edges, u_min), _grey_body(edges, lit).mean(axis=1)])
    share = 0.04 * q_pah[:, None, None]
    shape: NDArray[np.float64] = share * _pah(edges) + (1 - share) * grey[:, None]
    mean = np.log(u_max / u_min) / (1 / u_min - 1 / u_max)
    return _POWER_PER_U * np.stack([u_min, mean])[:, None, :, None] * shape


def _torus(tau: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return tori (tau, wave): the deeper the clouds, the cooler."""
    hot = (1 / (1 + tau / 20))[:, None]
    mixed: NDArray[np.float64] = _black_body(edges, np.full(tau.size, 150.0))
    mixed += hot * (_black_body(edges, 900.0) - mixed)
    return mixed


def _grey_body(edges: NDArray[np.float64], starlight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return dust of emissivity index 2, 18 K in the local starlight, of unit luminosity."""
    shape = _black_body(edges, 18.0 * starlight ** (1 / 6)) * (edges[1:] * edges[:-1]) ** -1.0
    result: NDArray[np.float64] = shape / np.sum(shape * np.diff(edges), axis=-1, keepdims=True)
    return result


def _pah(edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return PAH features, Gaussian in ln(wave) of sigma 0.03, of unit luminosity."""
    ln_wave = np.log(edges[1:] * edges[:-1]) / 2
    shape = sum(
        share / centre * np.exp(-0.5 * ((ln_wave - np.log(centre)) / 0.03) ** 2)
        for centre, share in _PAH.items()
    )
    result: NDArray[np.float64] = shape / np.sum(shape * np.diff(edges))
    return result


def _black_body(
    edges: NDArray[np.float64], temperature: NDArray[np.float64] | float
) -> NDArray[np.float64]:
    """Return Planck's law (..., wave) of unit luminosity in the bins [Angstrom-1]."""
    wave = np.sqrt(edges[1:] * edges[:-1])
    exponent = np.minimum(_PLANCK / (wave * np.expand_dims(temperature, -1)), 700.0)
    shape = wave**-5.0 / np.expm1(exponent)
    unit: NDArray[np.float64] = shape / np.sum(shape * np.diff(edges), axis=-1, keepdims=True)
    return unit


def _lines(lines: dict[float, float], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return lines of the given luminosities, each in its bin [Angstrom-1]."""
    spectrum = np.zeros(edges.size - 1)
    for line, luminosity in lines.items():
        where = np.searchsorted(edges, line) - 1
        spectrum[where] += luminosity / (edges[where + 1] - edges[where])
    return spectrum
