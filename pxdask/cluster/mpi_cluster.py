"""A cluster made of the ranks of one MPI program, by dask-mpi: one allocation, no queue.

Rank 0 becomes the scheduler, rank 1 goes on as the program, all others become workers.
"""

from __future__ import annotations

import logging
import socket
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from pxdask.cluster.mpi import mpi_world
from pxdask.cluster.queue_settings import LEAST_MEMORY
from pxdask.cluster.security import (
    DASHBOARD_PORT,
    LOOPBACK,
    dashboard_settings,
    free_port,
    loopback_interface,
    settings_of_dask,
    temporary_credentials,
)
from pxdask.core.errors import ConfigError
from pxdask.core.settings import TEXT, FileSettings, setting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from distributed import Client

    from pxdask.cluster.mpi import World

logger = logging.getLogger(__name__)

FEWEST = 3
"""Ranks: scheduler, program, and a worker."""

RECONNECT_S = 10.0
"""Patience with a scheduler that does not answer [s]: where its rank has ended, so has all."""


class MpiSettings(FileSettings):
    """How the ranks of an MPI program work together."""

    interface: str | None = setting(
        None,
        unit=TEXT,
        about="network of scheduler and workers, such as ib0; default: any, or loopback where"
        " all ranks are on one machine",
    )
    tls: bool | None = setting(
        None, unit=TEXT, about="encrypt; default: unless all ranks are on one machine"
    )
    memory_limit: str | float = setting(
        "auto", unit=TEXT, about="memory of a worker; default: its share of the machine's"
    )
    scratch: str | None = setting(None, unit=TEXT, about="folder of the node for workers' files")
    dashboard_port: int = setting(
        DASHBOARD_PORT,
        unit=TEXT,
        about="port of the dashboard, on loopback; another if taken",
        ge=0,
        le=65535,
    )


@contextmanager
def mpi_client(**options: Any) -> Iterator[Client]:  # noqa: ANN401  see MpiSettings
    """Give the client on rank 1; the others serve it, and end with it, within this call.

    Every rank must come here before it does anything that only one may do.

    Raises
    ------
    ConfigError
        If no MPI launcher started this process, there are fewer than three ranks, an option
        is wrong, or a package is absent.
    SystemExit
        On all ranks but 1, once the block of rank 1 has ended: their work is done.
    """
    settings = MpiSettings.parse(options)
    world = mpi_world()
    if world is None or world.size < FEWEST:
        n_rank = 1 if world is None else world.size
        raise ConfigError(
            f"cluster kind 'mpi' needs {FEWEST} ranks or more (a scheduler, this program and"
            f" workers), found {n_rank}: start with `mpirun -n {FEWEST + 1} ...` or `srun ...`"
        )
    import dask  # noqa: PLC0415  slow, and not always needed

    _check_memory(settings, world)
    interface, secure = _network(settings, world)
    credentials = None
    if secure:  # made by one, told to all: MPI's own network is trusted
        credentials = world.broadcast(temporary_credentials() if world.rank == 0 else None)
    with dask.config.set({**settings_of_dask(credentials), **dashboard_settings()}):
        if not _is_program(settings, interface, "tls" if secure else "tcp"):
            raise SystemExit(0)
        from distributed import Client  # noqa: PLC0415  slow, and not always needed

        with Client(timeout=RECONNECT_S) as client:
            try:
                yield client
            finally:
                with suppress(OSError):  # the scheduler may be gone, and all with it
                    client.shutdown()


def _check_memory(settings: MpiSettings, world: World) -> None:
    """Refuse workers that would wait for ever to use less memory, on all ranks.

    Raises
    ------
    ConfigError
        If a rank's share of the memory is too small for a worker.
    """
    from distributed.worker_memory import parse_memory_limit  # noqa: PLC0415  slow

    limit = parse_memory_limit(settings.memory_limit, 1, logger=logger)
    least = min(world.comm.allgather(limit or LEAST_MEMORY))
    if least < LEAST_MEMORY:
        raise ConfigError(
            f"a worker would have {least / 1e9:.2f} GB of memory; wanted 1 or more: ask for more"
            " memory for each rank, start fewer on a node, or set memory_limit"
        )


def _network(settings: MpiSettings, world: World) -> tuple[str | None, bool]:
    """Return the interface to use, and whether to encrypt."""
    hosts = set(world.comm.allgather(socket.gethostname()))
    alone = len(hosts) == 1
    interface = settings.interface or (loopback_interface() if alone else None)
    return interface, (not alone if settings.tls is None else settings.tls)


def _is_program(settings: MpiSettings, interface: str | None, protocol: str) -> bool:
    """Return whether this rank goes on as the program; the others serve first."""
    try:
        from dask_mpi import initialize  # noqa: PLC0415
    except ImportError as error:
        raise ConfigError(
            f"cluster kind 'mpi' needs dask-mpi ({error}): `pip install 'pxdask[hpc]'`"
        ) from error
    return bool(
        initialize(
            interface=interface,
            nthreads=1,
            local_directory=settings.scratch or "",
            memory_limit=settings.memory_limit,
            protocol=f"{protocol}://",
            dashboard_address=f"{LOOPBACK}:{free_port(settings.dashboard_port)}",
            worker_class="distributed.Worker",  # a nanny's child may not use MPI
            worker_options={"dashboard_address": f"{LOOPBACK}:0"},
            exit=False,
        )
    )
