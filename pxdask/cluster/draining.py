"""What a worker does before its time is over."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

import psutil  # type: ignore[import-untyped]  # it has no types
from distributed import Status, WorkerPlugin

if TYPE_CHECKING:
    from distributed import Worker

logger = logging.getLogger(__name__)

DRAIN_PART, MOST_DRAIN_S = 0.2, 240.0
"""Share of its lifetime, and time, that a worker may take to end what it does [s]."""

EARLY_S = 1.0
"""So long before its lifetime ends a worker begins to drain [s]: before Dask closes it."""


class Draining(WorkerPlugin):
    """Lets a worker end its tasks before its lifetime ends; Dask would drop them.

    Its own close gives running tasks to others, who begin from the start.
    """

    name = "pxdask-draining"

    def setup(self, worker: Worker) -> None:
        """Note when to begin."""
        if lifetime := worker.lifetime:
            wait = max(0.0, lifetime - EARLY_S - (time.time() - psutil.Process().create_time()))
            worker.loop.call_later(wait, self._drain, worker, lifetime)

    async def _drain(self, worker: Worker, lifetime: float) -> None:
        """Take nothing new, wait for what runs, then close."""
        if worker.status not in (Status.running, Status.paused):
            return
        logger.info("%s ends: it takes no new task", worker.address)
        worker.status = Status.closing_gracefully  # which the scheduler is told
        end = time.monotonic() + min(MOST_DRAIN_S, DRAIN_PART * lifetime)
        while worker.state.executing_count and time.monotonic() < end:  # noqa: ASYNC110  no event
            await asyncio.sleep(0.1)
        await worker.scheduler.retire_workers(
            workers=[worker.address], close_workers=False, remove=True
        )
        await worker.close(nanny=True, reason="lifetime")
