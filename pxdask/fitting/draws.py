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
    n_draw = draws["log_mass"].size
    flux = np.empty((n_draw, len(library.filters)))
    middle = float(np.median(redshifts(library, draws)))
    grid = SpectrumEngine(
        library.ssp, settings=library.settings, redshift=middle, frame="observed"
    ).wave
    spectrum = np.empty((n_draw, grid.size))
    for some in at_each_redshift(library, draws):
        flux[some.rows] = some.formed[:, None] * some.engine.flux(some.parameters)
        spectra = SpectrumEngine(
            library.ssp,
            settings=library.settings,
            redshift=some.engine.redshift,
            frame="observed",
        )
        made = some.formed[:, None] * spectra.spectrum(some.parameters).astype(np.float64)
        spectrum[some.rows] = on_grid(made, spectra.wave, grid=grid)
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
    lowest = float(np.min(redshifts(library, draws)))
    oldest = age_of_universe(settings, redshift=lowest)
    edges = np.concatenate([[0.0], np.geomspace(SHORTEST, oldest, n_time)])
    rates = np.empty((draws["log_mass"].size, n_time))
    for some in at_each_redshift(library, draws):
        universe = age_of_universe(settings, redshift=some.engine.redshift)
        fixed = {n: np.full(some.rows.size, v) for n, v in fixed_parameters(settings).items()}
        history = histories(settings, {**some.parameters, **fixed}, universe=universe)
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
        rates[some.rows] = some.formed[:, None] * share / np.diff(edges) * _PER_GYR
    return edges, rates


def redshifts(library: ModelLibrary, draws: Mapping[str, Floats]) -> Floats:
    """Return the redshift of every sample, (n_draw,)."""
    if library.redshift is None:
        return np.asarray(draws["redshift"], np.float64)
    return np.full(draws["log_mass"].size, library.redshift)


@dataclass(frozen=True, eq=False)
class DrawsAtRedshift:
    """Posterior samples of one redshift.

    Attributes
    ----------
    engine : PhotometryEngine
        Makes models of that redshift.
    rows : (n,) int
        Which of all samples they are.
    parameters : mapping of (n,) float64
        Free parameters, within their priors.
    formed : (n,) float64
        Mass formed [Msun].
    """

    engine: PhotometryEngine
    rows: NDArray[np.intp]
    parameters: dict[str, Floats]
    formed: Floats


def at_each_redshift(
    library: ModelLibrary, draws: Mapping[str, Floats]
) -> Iterator[DrawsAtRedshift]:
    """Yield the samples of each redshift there is among them; arguments as of `drawn_seds`."""
    at = redshifts(library, draws)
    for redshift in np.unique(at):
        rows = np.flatnonzero(at == redshift)
        engine = PhotometryEngine(
            library.ssp, library.filters, redshift=float(redshift), settings=library.settings
        )
        parameters = {
            name: np.clip(draws[name][rows].astype(np.float64), *engine.limits(name))
            for name in engine.parameters
        }
        formed = 10.0 ** draws["log_mass"][rows] / engine.derived(parameters)["surviving"]
        yield DrawsAtRedshift(engine, rows, parameters, formed)


def on_grid(spectra: Floats, wave: Floats, *, grid: Floats) -> Floats:
    """Return spectra (n, n_wave) at other wavelengths (n, n_grid), by linear interpolation.

    They are returned as they are where the wavelengths are the same; beyond those of the spectra,
    the first or last value is.
    """
    if np.array_equal(grid, wave):
        return spectra
    return np.array([np.interp(grid, wave, one) for one in spectra])
