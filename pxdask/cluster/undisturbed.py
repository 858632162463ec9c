"""Workers that leave an interrupt to who started them."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from distributed import WorkerPlugin

if TYPE_CHECKING:
    from distributed import Worker


class Undisturbed(WorkerPlugin):
    """Lets a worker be deaf to Ctrl-C, which a terminal sends to all its processes.

    The process that started the cluster hears it too, and ends its workers in order.
    """

    name = "pxdask-undisturbed"

    def setup(self, worker: Worker) -> None:  # noqa: ARG002  as Dask calls it
        """Ignore interrupts from now on; this is the main thread of the worker's process."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
