"""Fits against models that are split over the ranks of an MPI program."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.errors import ConfigError
from pxdask.fitting.model_search import NEGLECTED
from pxdask.fitting.rdsps import RdspsFitter
from pxdask.fitting.results import nothing
from pxdask.fitting.weighing import Rows, Weighed
from pxdask.kernels.likelihood import Scale
from pxdask.kernels.rdsps import columns
from pxdask.sps.model_set import make_model_set

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import xarray as xr
    from numpy.typing import NDArray

    from pxdask.cluster.mpi import World
    from pxdask.core.fits import FitConfig
    from pxdask.fitting.model_search import Searched
    from pxdask.fitting.rdsps_models import RdspsModels
    from pxdask.fitting.results import SedPosterior
    from pxdask.fitting.seds import Seds
    from pxdask.fitting.weighing import OneSed
    from pxdask.sps.libraries import ModelLibrary

    Floats = NDArray[np.float64]

_EXCHANGED = 0.25
"""Part of the memory of a fit that a rank's share of an exchange may take [1]."""

_MOST = 64
"""SEDs of an exchange that one rank finishes, at most."""

_N_WEIGHED = 3
"""Numbers of a model besides its quantities and fluxes: ln weight, amplitude, its error."""


@dataclass(frozen=True, eq=False)
class _Near:
    """Models of one rank that may count for one SED, and their likelihoods."""

    sed: OneSed
    models: NDArray[np.int64]
    weighed: Weighed


def share_of(n: int, *, rank: int, size: int) -> tuple[int, int]:
    """Return the first of ``n`` things that is a rank's, and the one after its last.

    Shares are consecutive, in the order of the ranks, and differ by one at most.
    """
    return n * rank // size, n * (rank + 1) // size


def library_of_rank(library: ModelLibrary, world: World) -> ModelLibrary:
    """Return a rank's part of a library, which it draws by itself.

    Parameters
    ----------
    library : ModelLibrary
        The whole; its own ``draw`` is not called.
    world : World
        The ranks.

    Raises
    ------
    ConfigError
        If there are fewer models than ranks.
    """
    n_model = library.settings.n_models
    if n_model < world.size:
        raise ConfigError(f"{n_model} models for {world.size} ranks; wanted one each, or more")
    start, stop = share_of(n_model, rank=world.rank, size=world.size)

    def draw() -> xr.Dataset:
        return make_model_set(
            library.ssp,
            library.filters,
            redshift=library.redshift,
            settings=library.settings,
            seed=library.seed,
            start=start,
            stop=stop,
        )

    return replace(library, draw=draw)


def fit_spmd(
    seds: Seds, *, world: World, settings: FitConfig, library: ModelLibrary
) -> xr.Dataset | None:
    """Return posteriors from models of which every rank has a part; all ranks call this.

    Every rank searches its own models and weighs those that may count in double precision. For
    some SEDs at a time, one reduction tells the ranks the best model of each SED, and one
    exchange brings the models that count to the rank that finishes the SED; each finishes as many.
    So there is a reduction, an exchange of counts and one of models for each ``64 n_rank`` SEDs
    (fewer where memory is short), and one gathering of posteriors at the end.

    Parameters
    ----------
    seds : Seds
        The same on every rank.
    world : World
        The ranks, from `pxdask.cluster.mpi.mpi_world`.
    settings : FitConfig
        The same on every rank.
    library : ModelLibrary
        This rank's: its models follow those of the rank before, as of `library_of_rank`.

    Returns
    -------
    fit : xarray.Dataset or None
        Schema fit/2 on rank 0; None on the others.

    Raises
    ------
    ConfigError
        If the settings ask for refinement, which needs the whole library in one place.

    Notes
    -----
    Models reach the finishing rank in their order, and all sums are made there: the result is
    the same to the last bit on any number of ranks, and that of `RdspsFitter` with ``whole=False``
    (with True, it differs by what is neglected), except where
    that one sums a broad posterior by classes of values (see there; here no posterior is, so
    an SED of low S/N costs 8 bytes times quantities and bands for each model that counts), and
    with upper limits, whose amplitudes end within rounding of one another. A failure of any
    rank ends all.
    """
    if settings.refine.min_n_eff > 0:
        raise ConfigError(
            f"fit.refine.min_n_eff is {settings.refine.min_n_eff:g}; models that are split over"
            " ranks are not refined: set it to 0 and draw more models, or fit on one rank"
        )
    with world.together():
        prepared = RdspsFitter(settings, whole=False).prepare(library)
        n_model = sum(world.comm.allgather(prepared.flux.shape[1]))
        models = replace(prepared, n_drawn=n_model, quantities=None)
        found: list[tuple[int, SedPosterior]] = []
        start, searched = 0, models.searched(seds)
        while batch := [_near(models, one) for one in islice(searched, _batch(models, world))]:
            found += [(start + i, one) for i, one in _finished(models, batch, world)]
            start += len(batch)
        gathered = world.comm.gather(found, root=0)
        if gathered is None:
            return None
        by_sed = dict(pair for part in gathered for pair in part)
        return models.dataset([by_sed[i] for i in range(len(seds))], seds)


def _batch(models: RdspsModels, world: World) -> int:
    """Return how many SEDs to exchange together, if all models counted for each."""
    room = _EXCHANGED * models.settings.max_memory * 1e9
    wanted = int(np.clip(room / (8 * _n_row(models) * models.n_model), 1, _MOST))
    return world.size * wanted


def _n_row(models: RdspsModels) -> int:
    """Return how many numbers of a model are exchanged."""
    rows = models.rows
    n_band = int(models.flux.shape[0])
    return _N_WEIGHED + len(rows.scaled) + len(rows.parameters) + n_band


def _near(models: RdspsModels, one: Searched) -> _Near:
    """Return a rank's models that may count for an SED."""
    if one.sed.n_detected:
        return _Near(one.sed, *models.candidates(one))
    none = np.empty(0)
    return _Near(one.sed, np.empty(0, np.int64), Weighed(Scale(none, none), none))


def _finished(
    models: RdspsModels, batch: Sequence[_Near], world: World
) -> Iterator[tuple[int, SedPosterior]]:
    """Yield the posteriors of the SEDs that this rank finishes, with their place in the batch."""
    from mpi4py import MPI  # noqa: PLC0415  optional, and here, where ranks are, present

    best = np.array([near.weighed.ln_weight.max(initial=-np.inf) for near in batch])
    world.comm.Allreduce(MPI.IN_PLACE, best, op=MPI.MAX)
    # Those below hold so little that `posterior_weights` leaves them out.
    floor = best - math.log(2 * models.n_model / NEGLECTED)
    parts = [_packed(models, near, least) for near, least in zip(batch, floor, strict=True)]
    own = range(world.rank, len(batch), world.size)
    for place, blocks in zip(own, _exchanged(parts, _n_row(models), world), strict=True):
        yield place, _posterior(models, batch[place].sed, blocks)


def _packed(models: RdspsModels, near: _Near, floor: float) -> Floats:
    """Return all that is exchanged of one SED's models, (n_row, n_kept)."""
    ln_weight = near.weighed.ln_weight
    at = np.flatnonzero(np.isfinite(ln_weight) & (ln_weight >= floor))
    weighed, kept = near.weighed.of(at), near.models[at]
    rows = models.rows
    return np.stack(
        [
            weighed.ln_weight,
            weighed.scale.value,
            weighed.scale.err,
            *(row[kept] for row in (*rows.scaled, *rows.parameters)),
            *columns(models.flux, kept),
        ]
    ).astype(np.float64, copy=False)


def _exchanged(parts: Sequence[Floats], n_row: int, world: World) -> list[Floats]:
    """Return all ranks' parts of the SEDs that this rank finishes, each (n_row, n_kept).

    Parameters
    ----------
    parts : sequence of (n_row, n_kept) float64
        Of every SED; the rank ``i % size`` finishes the i-th.
    n_row : int
        Numbers of a model.
    world : World
        The ranks.
    """
    size = world.size
    per_rank = -(-len(parts) // size)
    counts = np.zeros((size, per_rank), np.int64)
    for i, part in enumerate(parts):
        counts[i % size, i // size] = part.shape[1]
    theirs = np.empty_like(counts)
    world.comm.Alltoall(counts, theirs)
    sent = [part.ravel() for rank in range(size) for part in parts[rank::size]]
    received = np.empty(n_row * int(theirs.sum()))
    n_sent, n_received = (n_row * each.sum(axis=1) for each in (counts, theirs))
    world.comm.Alltoallv([np.concatenate(sent), n_sent], [received, n_received])
    ends = n_row * np.cumsum(theirs.ravel())
    blocks = [block.reshape(n_row, -1) for block in np.split(received, ends[:-1])]
    own = len(range(world.rank, len(parts), size))
    return [np.concatenate(blocks[k::per_rank], axis=1) for k in range(own)]


def _posterior(models: RdspsModels, sed: OneSed, packed: Floats) -> SedPosterior:
    """Return the posterior of the models that all ranks have sent."""
    if packed.shape[1] == 0:
        return nothing(
            len(models.attrs),
            sed.flux.size,
            n_sample=models.settings.n_samples,
            n_used=sed.n_detected + sed.limited.size,
        )
    (ln_weight, value, err), rest = packed[:_N_WEIGHED], packed[_N_WEIGHED:]
    first, last = len(models.rows.scaled), len(models.rows.scaled) + len(models.rows.parameters)
    rows = Rows(
        models.rows.scaled_names,
        models.rows.parameter_names,
        scaled=tuple(rest[:first]),
        parameters=tuple(rest[first:last]),
    )
    together = replace(models, flux=rest[last:].astype(np.float32), rows=rows)
    weighed = Weighed(Scale(value, err), ln_weight)
    return together.posterior(sed, np.arange(ln_weight.size), weighed)
