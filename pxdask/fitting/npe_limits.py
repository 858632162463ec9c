"""What outliers are to a trained network: learnt once, by whoever trains it."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.fits import FitConfig
from pxdask.core.random import stream
from pxdask.fitting.npe_draws import Judge, in_units
from pxdask.fitting.npe_rounds import BROADER, with_more_rounds
from pxdask.fitting.npe_trust import N_CHECKED, nearest_of
from pxdask.fitting.outliers import Oddness, outlier_limit, what_is_known
from pxdask.fitting.target import Observed, Sampled
from pxdask.npe.mocks import at_redshift, make_mocks
from pxdask.npe.noise import NoiseModel

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from pxdask.fitting.npe_draws import Cloud
    from pxdask.npe.network import Network
    from pxdask.sps.libraries import ModelLibrary

    Floats = NDArray[np.float64]
    Indices = NDArray[np.intp]

logger = logging.getLogger(__name__)

N_MOCKS = 8192
"""Good SEDs that limits are learnt from: of 5 % of false alarms 0.3 % are then by chance."""

N_REDSHIFT = 16
"""Redshifts that they have, in the middle of as many parts of the network's range."""

_TOGETHER = 128
"""SEDs that are held at a time."""


def with_limits(network: Network, library: ModelLibrary, *, n_mocks: int | None = None) -> Network:
    """Return a network that knows how odd good SEDs are, so that outliers can be told.

    Good ones are mocks with the noise, S/N, missing bands and redshifts of the training, which
    the network's own draws are held against, as in a fit.

    Parameters
    ----------
    network : Network
        Trained.
    library : ModelLibrary
        What it was trained with; its seed is that of the mocks.
    n_mocks : int, optional
        Good SEDs, before those too faint are left out; default: `N_MOCKS`.

    Raises
    ------
    DataError
        If nearly no mock passes the selection.
    """
    settings = FitConfig.model_validate(network.settings)
    # a network that knows an SED badly says so by efficiency, and is heard till the last round
    npe = settings.npe.model_copy(update={"hand_over": "none"})
    settings = settings.model_copy(update={"npe": npe})
    noise = NoiseModel.from_json(network.noise_json)
    found: dict[str, list[Oddness]] = {"plain": [], "weighed": []}
    known = []
    places = list(_libraries(network, library))
    n_each = (N_MOCKS if n_mocks is None else n_mocks) // len(places)
    for k, at in enumerate(places):
        seed = int(stream(library.seed, "outliers", k).integers(2**62))
        mocks = make_mocks(at, noise, n=n_each, seed=seed, settings=settings, redshift_given=False)
        data = Observed(mocks.flux, mocks.error, np.zeros(mocks.flux.shape, np.bool_))
        judge, every = Judge(Sampled(settings, at), data, in_units(data)), np.arange(len(mocks))
        known.append(what_is_known(judge.units, every, redshift=judge.redshift(every)))
        for first in range(0, len(mocks), _TOGETHER):
            for name, each in _oddness(judge, network, every[first : first + _TOGETHER]).items():
                found[name].append(each)
    rows = np.concatenate(known)
    limits = {name: outlier_limit(_joined(parts), rows) for name, parts in found.items()}
    logger.info("learnt from %d good SEDs how odd they are", len(rows))
    return replace(network, outliers={name: each.to_json() for name, each in limits.items()})


def _libraries(network: Network, library: ModelLibrary) -> Iterator[ModelLibrary]:
    """Yield the models of some redshifts, or, where none is told the network, all models."""
    if network.redshift is None or not network.redshift_is_input:
        yield library
        return
    low, high = network.redshift
    for k in range(N_REDSHIFT):
        yield at_redshift(library, low + (high - low) * (k + 0.5) / N_REDSHIFT)


def _oddness(judge: Judge, network: Network, sed: Indices) -> dict[str, Oddness]:
    """Return how odd SEDs are, by draws as they are and by those re-weighted."""
    sampled = judge.sampled
    npe = sampled.settings.npe
    rngs = [stream(sampled.model_library.seed, "outliers", i) for i in sed.tolist()]
    checked = judge.clouds(judge.draws(network, sed, rngs, n_draws=N_CHECKED), sed)
    source = network.broadened(BROADER)
    clouds = judge.clouds(judge.draws(source, sed, rngs, n_draws=npe.n_draws), sed)
    bright = np.array([np.isfinite(cloud.nearest.chi2) for cloud in clouds])
    rows = np.flatnonzero(bright)
    first = [clouds[k] for k in rows]
    weighed = with_more_rounds(
        judge, source, first, sed=sed[rows], rngs=[rngs[k] for k in rows], settings=npe
    )
    chi2 = np.full(sed.size, np.inf)
    points = nearest_of(judge, [cloud.nearest for cloud in weighed], sed[rows])
    chi2[rows] = [point.chi2 for point in points]
    ratio = judge.redshift_ratio(network.redshift_check, sed)
    redshift = None if ratio is None else -ratio
    plain, in_the_end = (
        np.array([cloud.gap for cloud in each])
        for each in (checked, _in_place(clouds, weighed, rows))
    )
    return {
        "plain": Oddness(chi2, plain, redshift),
        "weighed": Oddness(chi2, in_the_end, redshift),
    }


def _joined(parts: Sequence[Oddness]) -> Oddness:
    """Return the figures of some SEDs and others."""
    chi2, gap, redshift = zip(*parts, strict=True)
    has = any(each is not None for each in redshift)
    return Oddness(
        np.concatenate(chi2), np.concatenate(gap), np.concatenate(redshift) if has else None
    )


def _in_place(clouds: Sequence[Cloud], weighed: Sequence[Cloud], rows: Indices) -> list[Cloud]:
    """Return clouds, those of some rows being others."""
    found = list(clouds)
    for k, cloud in zip(rows.tolist(), weighed, strict=True):
        found[k] = cloud
    return found
