"""Programs of which many copies run at once, started by ``mpirun`` or ``srun``."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from pxdask.core.config import started_by_mpi
from pxdask.core.errors import ConfigError, PxdaskError

if TYPE_CHECKING:
    from collections.abc import Iterator

logger = logging.getLogger(__name__)

T = TypeVar("T")

ABORTED = 2
"""Exit code of all ranks when one fails."""

LAST_WORDS_S = 0.5
"""Time for the launcher to pass on why a rank failed: what it has not read by then is lost [s]."""


@dataclass(frozen=True, slots=True)
class World:
    """The ranks of an MPI program, seen from one of them.

    Attributes
    ----------
    rank, size : int
        Number of this rank, from 0, and of all.
    comm : mpi4py.MPI.Comm
        What they talk through.
    """

    rank: int
    size: int
    comm: Any

    def broadcast(self, value: T) -> T:
        """Return rank 0's value, on every rank."""
        result: T = self.comm.bcast(value, root=0)
        return result

    def barrier(self) -> None:
        """Wait until every rank is here."""
        self.comm.Barrier()

    @contextmanager
    def together(self) -> Iterator[None]:
        """End all ranks when the block fails on one, which logs why: others would wait for it."""
        try:
            yield
        except PxdaskError as error:
            logger.error("rank %d of %d: %s", self.rank, self.size, error)  # noqa: TRY400
        except BaseException:
            logger.exception("rank %d of %d failed", self.rank, self.size)
        else:
            return
        time.sleep(LAST_WORDS_S)
        self.comm.Abort(ABORTED)  # some MPIs come back from it before the launcher ends them
        raise SystemExit(ABORTED)


def mpi_world() -> World | None:
    """Return the ranks that this process is one of; None where no MPI launcher started it.

    Raises
    ------
    ConfigError
        If one did, but mpi4py is absent: every rank would do the whole work.
    """
    if not started_by_mpi():
        return None
    try:
        from mpi4py import MPI  # noqa: PLC0415
    except ImportError as error:
        raise ConfigError(
            f"started by MPI, but mpi4py cannot be used ({error}): `pip install mpi4py`, and"
            " `pip install mpich` where the machine has no MPI of its own"
        ) from error
    comm = MPI.COMM_WORLD
    return World(rank=comm.Get_rank(), size=comm.Get_size(), comm=comm)
