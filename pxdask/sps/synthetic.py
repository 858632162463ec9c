"""Made-up stellar populations, for tests and for trying things out."""

from __future__ import annotations

import numpy as np
import xarray as xr

from pxdask.core.schema import SSP

_PLANCK = 1.438776877e8
"""Second radiation constant h c / k [Angstrom K]; CODATA 2018."""
_LINES = {1215.67: 1.0, 4862.68: 0.04, 4960.3: 0.05, 5008.24: 0.15, 6564.61: 0.115}
"""Lines and their share of the ionising luminosity [Angstrom, vacuum: 1]; round numbers."""


def synthetic_ssp(*, n_wave: int = 300) -> xr.Dataset:
    """Return populations that shine like black bodies: cooler and fainter with age.

    Parameters
    ----------
    n_wave : int
        Wavelength bins between 91 Angstrom and 1 mm.

    Returns
    -------
    ssp : Dataset
        Schema ``ssp/1``; 3 metallicities, 54 ages, 3 ionisation parameters. They behave
        like stars in kind only, and say so in ``attrs["library"]``.
    """
    log_z, log_age = np.array([-2.0, -0.7, 0.5]), np.round(np.arange(54) * 0.1 + 5, 1)
    log_u = np.array([-4.0, -2.0, 0.0])
    edges = np.geomspace(91.0, 1e7, n_wave + 1)
    wave = np.sqrt(edges[1:] * edges[:-1])
    past_first_myr = np.clip(log_age - 6, 0, None)
    temperature = 10 ** (4.6 - 0.28 * past_first_myr - 0.03 * log_z[:, None])
    luminosity = 10 ** (3.0 - 0.75 * past_first_myr)
    shape = _black_body(wave, temperature[..., None])
    flux = luminosity[:, None] * shape / np.sum(shape * np.diff(edges), axis=-1, keepdims=True)
    young = (log_age >= 6) & (log_age <= 7)
    ionising = np.sum((flux * np.diff(edges))[:, young][..., wave < 912], axis=-1)
    strength = 1 + 0.1 * log_u[:, None, None]
    spectrum = _line_spectrum(edges) + 0.2 * _black_body(wave, 8000.0) / np.sum(
        _black_body(wave, 8000.0) * np.diff(edges)
    )
    values = {
        "log_z": log_z,
        "log_age": log_age,
        "wave": wave,
        "wave_edges": edges,
        "log_age_young": log_age[young],
        "log_u": log_u,
        "flux": flux.astype(np.float32),
        "nebular": ((strength * ionising)[..., None] * spectrum).astype(np.float32),
        "surviving": np.tile(1 - 0.06 * np.clip(log_age - 6, 0, None), (3, 1)),
    }
    ds = xr.Dataset(
        {
            name: (SSP.variables[name].dims, value, SSP.attrs(name))
            for name, value in values.items()
        },
        attrs={"schema": SSP.tag, "library": "synthetic", "imf": "none", "source": "pxdask"},
    )
    return SSP.validate(ds)


def _black_body(wave: np.ndarray, temperature: np.ndarray | float) -> np.ndarray:
    """Return Planck's law per unit wavelength, up to a constant."""
    exponent = np.minimum(_PLANCK / (wave * temperature), 700.0)
    return wave**-5.0 / np.expm1(exponent)


def _line_spectrum(edges: np.ndarray) -> np.ndarray:
    """Return the lines, each in its bin, per unit ionising luminosity [Angstrom-1]."""
    spectrum = np.zeros(edges.size - 1)
    for line, share in _LINES.items():
        where = np.searchsorted(edges, line) - 1
        spectrum[where] += share / (edges[where + 1] - edges[where])
    return spectrum
