"""Memory of tasks: how much each takes at its peak, and no more at once than a worker has.

A worker has a limit, above which Dask kills it, and maybe several threads. Each task foretells
its peak from the sizes of its data, and waits in its worker until that much is free. Nothing has to
be declared to the scheduler: whatever started the workers, they know their limits.

The constants were measured on the stages' peaks above what the process had before, on galaxies of
64^2 to 1000^2 pixels in 3 to 10 bands, with 512 to 500,000 models and synthetic populations.
"""

from __future__ import annotations

import math
import sys
import threading
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psutil  # type: ignore[import-untyped]  # it has no types

from pxdask.core.errors import ClusterError
from pxdask.images import Grid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from pxdask.core.config import BinConfig
    from pxdask.core.fits import FitConfig
    from pxdask.core.morphology import MorphologyConfig
    from pxdask.survey.pipeline import Pipeline

BASE = 450e6
"""What a process takes before its first task [byte]: 410 to 433 MB measured."""

FULL_PART = 0.8
"""Part of its limit up to which tasks fill a worker: there Dask begins nothing more."""

KILLED_PART = 0.95
"""Part of its limit at which Dask kills a worker."""

SMALL = 40e6
"""What a task takes at least, whatever its size [byte]."""

_IMAGE = 150
"""Bytes for each pixel that is read or written of a band; 97 to 142 measured."""
_CUBE = 65
"""Bytes for each pixel and band of the cube; 55 to 64 measured."""
_BINS, _BINS_BAND = {"voronoi": 400}, 20
"""Bytes of binning for each pixel, and pixel and band, of a stamp of which a third is binned."""
_BINS_OTHER = 150
_MODEL, _MODEL_BAND = 150, 40
"""Bytes of a fit for each model, and model and band; 540 for ten bands measured."""
_MAPS, _MAPS_BAND = 220, 16
"""Bytes of maps for each pixel, and pixel and band; 236 (5 bands) to 355 (10 bands) measured."""
_PRODUCTS, _PRODUCTS_BAND = 140, 36
"""The same of their files for people; 228 (5 bands) to 494 (10 bands) measured."""
_PROFILES, _PROFILES_GALAXY = 0.95e9, 20e6
"""Bytes of Sersic fits: of JAX with its compiled programs (0.45 to 0.97 GB measured, with stamps of
32^2 to 256^2 pixels in 3 to 5 bands); of a galaxy's stamps and models."""
_RADIAL, _RADIAL_BAND = 250, 25
"""Bytes of radial profiles for each pixel, and pixel and band, with what is read."""
_DRAW_BIN, _DRAW_BAND = 60, 3000
"""The same for each draw and bin, and draw and band: 56 and 2100 measured, of 300 to 7000 bins."""
_SLICE, _SPECTRUM = 60, 40
"""Bytes for each pixel and wavelength of a chunk, and of the spectra that are matched."""


class Budget:
    """The memory of one worker, shared by the tasks that run in its threads.

    Parameters
    ----------
    limit : float
        What the worker may use [byte].
    used : callable
        Memory of the process at this moment [byte]; default: what the system tells.
    """

    def __init__(self, limit: float, used: Callable[[], float] | None = None) -> None:
        self.limit = limit
        self._used = used or (lambda: float(psutil.Process().memory_info().rss))
        self._base = BASE
        self._taken = 0.0
        self._n_task = 0
        self._line: deque[object] = deque()
        self._changed = threading.Condition()

    def refuse(self, need: float, what: str) -> None:
        """Raise `ClusterError` if a task cannot be carried out here, whatever else runs."""
        if not bears(self.limit, need):
            raise ClusterError(
                f"{what} takes about {need / 1e9:.3g} GB of memory, with {BASE / 1e9:.2g} GB of the"
                f" program itself; a worker may use {self.limit / 1e9:.3g} GB: give workers more"
                " (fewer of them, or a larger memory in the cluster's settings), or make the stamp"
                " smaller or its pixels larger (images.stamp_size, images.pixel_scale); then go on"
                " with `pxdask resume`"
            )

    @contextmanager
    def share(self, need: float) -> Iterator[None]:
        """Wait until so much memory is free [byte], in the order of asking; hold it for the block.

        A task that is alone always runs.
        """
        mine = object()
        with self._changed:
            self._line.append(mine)
            self._changed.wait_for(lambda: self._line[0] is mine and self._fits(need))
            self._line.popleft()
            self._taken += need
            self._n_task += 1
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._taken -= need
                self._n_task -= 1
                self._changed.notify_all()

    def _fits(self, need: float) -> bool:
        """Return whether a task may begin beside those that run."""
        if self._n_task == 0:
            self._base, self._taken = max(BASE, self._used()), 0.0
            return True
        return self._base + self._taken + need <= FULL_PART * self.limit


def bears(limit: float, need: float) -> bool:
    """Return whether a worker of a limit can carry out a task alone [byte]; 0: it has no limit."""
    return not limit or BASE + need <= KILLED_PART * limit


_BUDGETS: dict[str, Budget] = {}
_LOCK = threading.Lock()


def budget() -> Budget | None:
    """Return the budget of the worker in whose thread this is; None outside, or without limit."""
    distributed = sys.modules.get("distributed")
    if distributed is None:  # nobody has started a worker in this process
        return None
    try:
        worker = distributed.get_worker()
    except ValueError:
        return None
    limit = worker.memory_manager.memory_limit
    if not limit:
        return None
    with _LOCK:
        return _BUDGETS.setdefault(worker.address, Budget(float(limit)))


@contextmanager
def within_memory(need: float, what: str) -> Iterator[None]:
    """Carry out the block when the worker has memory for it [byte]; at once outside a worker.

    Raises
    ------
    ClusterError
        If this worker never has so much.
    """
    own = budget()
    if own is None or not need:
        yield
        return
    own.refuse(need, what)
    with own.share(need):
        yield


def stage_memory(pipeline: Pipeline, stages: Iterable[str]) -> Mapping[str, float]:
    """Return the memory that a galaxy's tasks take at their peak, by stage [byte].

    Parameters
    ----------
    pipeline : Pipeline
        Of the galaxy.
    stages : iterable of str
        Stages that are to be carried out. For the fit, it is that of one block of bins.
    """
    inputs, config = pipeline.inputs, pipeline.config
    n_band, n_pix = len(inputs.bands), math.prod(inputs.grid.shape)
    ifs = inputs.ifs.header.shape if inputs.ifs is not None else (0, 0, 0)
    chunk = min(ifs[0], config.ifs.chunk) if config.ifs is not None else 0
    voxels = ifs[0] * n_pix
    bins = _BINS.get(config.binning.method, _BINS_OTHER)
    needs = {
        "cube": _CUBE * n_band * n_pix,
        "ifs": _SLICE * chunk * max(n_pix, ifs[1] * ifs[2]),
        "spectra": _SPECTRUM * voxels,
        "bins": (bins + _BINS_BAND * n_band) * n_pix + 10 * voxels,
        "fit": fit_memory(config.fit, n_model=config.models.n_models, n_band=n_band),
        "integrated": fit_memory(config.fit, n_model=config.models.n_models, n_band=n_band),
        "lines": 10 * voxels,
        "maps": (_MAPS + _MAPS_BAND * n_band) * n_pix,
        "products": (_PRODUCTS + _PRODUCTS_BAND * n_band) * n_pix,
    }
    wanted = set(stages)
    if "image" in wanted:
        read = max(_n_read(pipeline, band.name) for band in inputs.bands)
        needs["image"] = _IMAGE * max(read, n_pix)
    if "morphology" in wanted and config.morphology is not None:
        largest = max(_n_read(pipeline, band) for band in pipeline.profiled)
        needs["morphology"] = profile_memory(config.morphology, 1) + _IMAGE * largest
    if config.radial is not None:
        n_draws, n_bin = config.radial.n_draws, _most_bins(config.binning, n_pix=n_pix)
        draws = n_draws * (_DRAW_BIN * n_bin + _DRAW_BAND * n_band)
        needs["radial"] = (_RADIAL + _RADIAL_BAND * n_band) * n_pix + draws
    return {stage: SMALL + need for stage, need in needs.items() if stage in wanted}


def fit_memory(fit: FitConfig, *, n_model: int, n_band: int) -> float:
    """Return the memory that the fit of a block takes beside `SMALL` [byte].

    What samplers take beyond the models is a part of ``fit.max_memory``, at most.
    """
    sampled = 0.1e9 * fit.max_memory if fit.method != "rdsps" else 0.0
    return (_MODEL + _MODEL_BAND * n_band) * n_model + sampled


def profile_memory(settings: MorphologyConfig, n_galaxy: int) -> float:
    """Return the memory that Sersic fits of some galaxies take [byte].

    That of JAX and its compiled programs is by far the most, and is taken but once.
    """
    return _PROFILES + _PROFILES_GALAXY * n_galaxy * (settings.max_side / 256) ** 2


def _most_bins(binning: BinConfig, *, n_pix: int) -> float:
    """Return about how many bins a stamp has at most, of which a third is binned."""
    least = {
        "sed_similarity": math.pi / 4 * binning.min_diameter**2,
        "pixedfit": math.pi / 4 * binning.min_diameter**2,
        "squares": binning.size**2,
        "hexagons": math.sqrt(3) / 2 * binning.size**2,
        "voronoi": 4.0,  # bright pixels are bins by themselves, most are not
    }
    return n_pix / 3 / max(1.0, least.get(binning.method, 1.0))


def _n_read(pipeline: Pipeline, band: str) -> int:
    """Return about how many pixels of a band's image are read."""
    header, grid = pipeline.inputs.headers[band], pipeline.inputs.grid
    own = Grid(header.wcs, header.shape).pixel_scale
    margin = 2 * pipeline.margin_pix(band)
    sides = (
        min(whole, math.ceil(side * grid.pixel_scale / own) + margin)
        for whole, side in zip(header.shape, grid.shape, strict=True)
    )
    return math.prod(sides)
