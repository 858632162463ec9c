"""How well calibrated a network is of fresh mocks, and what noise a run has."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.errors import ConfigError
from pxdask.core.fits import FitConfig
from pxdask.core.random import stream
from pxdask.npe.calibration import coverage, ranks, sbc_ks, tarp
from pxdask.npe.features import inputs
from pxdask.npe.mocks import make_mocks
from pxdask.npe.noise import NoiseModel, measured_noise
from pxdask.npe.targets import relative_scale
from pxdask.sps.libraries import make_library

if TYPE_CHECKING:
    from collections.abc import Iterable

    import xarray as xr
    from numpy.typing import NDArray

    from pxdask.core.bandpass import Filter
    from pxdask.npe.network import Network
    from pxdask.survey.results import Run

    Floats = NDArray[np.float64]

MOST_SEDS = 200_000
"""SEDs that noise is measured of, spread evenly over a run that has more: they tell a depth to a
thousandth."""

_N_DRAW = 400
"""Draws of each mock: their ranks tell 0.001 from a coverage of 0.68."""

_DATASETS = {"bins": "bins", "pixels": "cube"}


@dataclass(frozen=True, eq=False)
class Calibration:
    """Figures of merit of a network.

    Attributes
    ----------
    names : tuple of str
        Targets, the mass last.
    coverage : (n_target,) float64
        Share of the truths within central intervals of 68 % [1].
    distance, p_value : (n_target,) float64
        Kolmogorov-Smirnov test of ranks against evenness (simulation-based calibration) [1].
    tarp : float
        Largest deviation of the coverage of all targets jointly, by random points [1].
    tarp_noise : float
        What it is for exact posteriors and so many mocks, at the median [1].
    n_mock : int
        Mocks.
    """

    names: tuple[str, ...]
    coverage: Floats
    distance: Floats
    p_value: Floats
    tarp: float
    tarp_noise: float
    n_mock: int


def calibration(
    network: Network, *, ssp: xr.Dataset, curves: Iterable[Filter], n: int
) -> Calibration:
    """Return figures of merit of a network, of mocks that it has not seen.

    Parameters
    ----------
    network : Network
        Its own draws are looked at, not weighed by the likelihood.
    ssp : Dataset
        Schema ssp/2.
    curves : iterable of Filter
        Of each band, in their order, under whatever name.
    n : int
        Mocks drawn; those that are too faint are left out.

    Raises
    ------
    ConfigError
        If no mock is left.
    """
    fresh = int(stream(int(network.origin.get("seed", 1)), "npe check").integers(2**31))
    filters = tuple(
        replace(curve, name=name) for name, curve in zip(network.bands, curves, strict=True)
    )
    ends = network.redshift
    fixed = ends[0] if ends is not None and not network.redshift_is_input else None
    mocks = make_mocks(
        make_library(ssp, filters, settings=network.models, redshift=fixed, seed=fresh),
        NoiseModel.from_json(network.noise_json),
        n=n,
        seed=fresh,
        settings=FitConfig.model_validate(dict(network.settings)),
        redshift_given=ends is not None,
        points="random",
    )
    if not len(mocks):
        raise ConfigError(f"none of {n} mocks is bright enough; wanted more")
    redshift = np.full(len(mocks), fixed) if fixed is not None else mocks.redshift
    rngs = [stream(fresh, "npe check", k) for k in range(len(mocks))]
    draws = network.draw(mocks.flux, mocks.error, redshift=redshift, rngs=rngs, n_draws=_N_DRAW)
    found = np.concatenate([draws.unit, draws.log_mass[..., None]], axis=-1)
    rank = ranks(found, np.column_stack([mocks.unit, mocks.log_mass]))
    even = sbc_ks(rank)
    # in the targets' units, in which no parameter's distances dwarf another's
    scale = inputs(mocks.flux, mocks.error).scale
    offset = relative_scale(scale, redshift, network.models)
    truth = network.targets(mocks.unit, mocks.log_mass - offset).astype(np.float64)
    drawn = network.targets(draws.unit, draws.log_mass - offset[:, None]).astype(np.float64)
    # deviates of their own: the next mock's truth need not be independent of a mock's
    reference = stream(fresh, "balls").standard_normal(truth.shape)
    joint = tarp(drawn, truth, reference)
    return Calibration(
        (*network.names, "log_mass"),
        coverage(rank),
        even.distance,
        even.p_value,
        joint.deviation,
        # median of the Kolmogorov distribution
        0.8276 / float(np.sqrt(len(mocks))),
        len(mocks),
    )


def noise_of_run(run: Run, *, of: str) -> tuple[NoiseModel, int]:
    """Return the noise model of a run's bins or pixels, and of how many it is.

    Parameters
    ----------
    run : Run
        Galaxies that have bins count.
    of : {"bins", "pixels"}
        Of the pixels, those in bins.

    Raises
    ------
    ConfigError
        If there is no such thing, or no galaxy has any.
    DataError
        If none has a usable band.
    """
    if of not in _DATASETS:
        raise ConfigError(f"noise of {of!r}; wanted one of {', '.join(_DATASETS)}")
    bands = [band.name for band in run.config.bands]
    made = [
        galaxy
        for galaxy in run.galaxies
        if (record := run.records().get((galaxy, "bins", ""))) is not None and record.ok
    ]
    if not made:
        raise ConfigError(f"{run.store}: no galaxy has bins yet; begin the run first")
    most = max(1, MOST_SEDS // len(made))
    parts = [_some(_seds(run, galaxy, of), most) for galaxy in made]
    flux, error = (np.concatenate(each) for each in zip(*parts, strict=True))
    return measured_noise(flux, error, bands), len(flux)


def _seds(run: Run, galaxy: str, of: str) -> tuple[Floats, Floats]:
    """Return fluxes and errors of a galaxy's bins or pixels, (n_sed, n_band) [uJy]."""
    bins = run.dataset(galaxy, "bins")
    if of == "bins":
        return bins["flux"].values, bins["flux_err"].values
    cube = run.dataset(galaxy, "cube")
    inside = bins["bin_map"].values >= 0
    flux, error = (cube[name].values[:, inside].T for name in ("flux", "flux_err"))
    return flux.astype(np.float64), error.astype(np.float64)


def _some(seds: tuple[Floats, Floats], most: int) -> tuple[Floats, Floats]:
    """Return at most so many of the SEDs, spread evenly."""
    every = -(-len(seds[0]) // most)
    return seds[0][:: max(1, every)], seds[1][:: max(1, every)]
