"""Models of posterior samples: their photometry, their spectra, their star formation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.cosmology import age_of_universe
from pxdask.kernels.assembly import summarise
from pxdask.kernels.sfh import age_quadrature
from pxdask.sps.engine import PhotometryEngine
from pxdask.sps.histories import bin_edges, histories
from pxdask.sps.parameters import fixed_parameters
from pxdask.sps.spectrum import SpectrumEngine

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from pxdask.sps.libraries import ModelLibrary

    Floats = NDArray[np.float64]

SHORTEST = 3e-3
"""End of the youngest interval of a star formation history [Gyr]."""

_PER_GYR = 1e-9
"""Solar masses per year that are one per Gyr."""


@dataclass(frozen=True, eq=False)
class DrawnSeds:
    """Models of some posterior samples.

    Attributes
    ----------
    flux : (n_draw, n_band)
        Flux densities [uJy].
    wave : (n_wave,)
        Observed wavelengths [Angstrom]; where redshift is free, of the samples' median.
    spectrum : (n_draw, n_wave)
        Flux densities [erg s-1 cm-2 Angstrom-1].
    """

    flux: Floats
    wave: Floats
    spectrum: Floats


def drawn_seds(library: ModelLibrary, draws: Mapping[str, Floats]) -> DrawnSeds:
    """Return the SEDs of posterior samples.

    Parameters
    ----------
    library : ModelLibrary
        Populations, bands, settings; redshift, where it is not free.
    draws : mapping of (n_draw,)
        Finite samples of the free parameters and of ``log_mass``, the surviving mass.

    Returns
    -------
    seds : DrawnSeds

    Raises
    ------
    KeyError
        If samples of a parameter are missing.

    Notes
    -----
    Samples are stored as float32 and may lie an ulp outside their prior: they are moved back.
    """
    log_mass = draws["log_mass"]
    flux = np.empty((log_mass.size, len(library.filters)))
    at = _redshifts(library, draws)
    middle = float(np.median(at))
    grid = SpectrumEngine(
        library.ssp, settings=library.settings, redshift=middle, frame="observed"
    ).wave
    spectrum = np.empty((log_mass.size, grid.size))
    for engine, rows, parameters in _at_each(library, draws):
        formed = 10.0 ** log_mass[rows] / engine.derived(parameters)["surviving"]
        flux[rows] = formed[:, None] * engine.flux(parameters)
        spectra = SpectrumEngine(
            library.ssp,
            settings=library.settings,
            redshift=engine.redshift,
            frame="observed",
        )
        made = formed[:, None] * spectra.spectrum(parameters).astype(np.float64)
        if engine.redshift != middle:
            made = np.array([np.interp(grid, spectra.wave, one) for one in made])
        spectrum[rows] = made
    return DrawnSeds(flux, grid, spectrum)


def star_formation_rates(
    library: ModelLibrary, draws: Mapping[str, Floats], *, n_time: int
) -> tuple[Floats, Floats]:
    """Return star formation rates of posterior samples, mean in intervals of lookback time.

    Parameters
    ----------
    library, draws
        As of `drawn_seds`.
    n_time : int
        Number of intervals.

    Returns
    -------
    edges : (n_time + 1,)
        Lookback times from 0, then evenly in their logarithm from `SHORTEST` to the age of
        the universe, where redshift is free at the lowest of the samples [Gyr].
    rates : (n_draw, n_time)
        Times the intervals' lengths, they add up to the mass formed [Msun yr-1].
    """
    settings = library.settings
    lowest = float(np.min(_redshifts(library, draws)))
    oldest = age_of_universe(settings, redshift=lowest)
    edges = np.concatenate([[0.0], np.geomspace(SHORTEST, oldest, n_time)])
    rates = np.empty((draws["log_mass"].size, n_time))
    for engine, rows, parameters in _at_each(library, draws):
        universe = age_of_universe(settings, redshift=engine.redshift)
        fixed = {name: np.full(rows.size, v) for name, v in fixed_parameters(settings).items()}
        history = histories(settings, {**parameters, **fixed}, universe=universe)
        quadrature = age_quadrature(
            library.ssp["log_age"].values, bin_edges=bin_edges(settings, universe=universe)
        )
        summary = summarise(
            history.kind,
            history.age,
            history.shape,
            quadrature=quadrature,
            spans=tuple(edges[1:]),
            fractions=(),
        )
        share = np.diff(summary.recent, axis=1, prepend=0.0)
        formed = 10.0 ** draws["log_mass"][rows] / engine.derived(parameters)["surviving"]
        rates[rows] = formed[:, None] * share / np.diff(edges) * _PER_GYR
    return edges, rates


def _redshifts(library: ModelLibrary, draws: Mapping[str, Floats]) -> Floats:
    """Return the redshift of every sample."""
    if library.redshift is None:
        return np.asarray(draws["redshift"], np.float64)
    return np.full(draws["log_mass"].size, library.redshift)


def _at_each(
    library: ModelLibrary, draws: Mapping[str, Floats]
) -> Iterator[tuple[PhotometryEngine, NDArray[np.intp], dict[str, Floats]]]:
    """Yield, for each redshift, its engine, the samples there and their parameters."""
    at = _redshifts(library, draws)
    for redshift in np.unique(at):
        rows = np.flatnonzero(at == redshift)
        engine = PhotometryEngine(
            library.ssp, library.filters, redshift=float(redshift), settings=library.settings
        )
        parameters = {
            name: np.clip(draws[name][rows].astype(np.float64), *engine.limits(name))
            for name in engine.parameters
        }
        yield engine, rows, parameters
