"""Clients of clusters of every kind."""

from __future__ import annotations

import logging
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from pxdask.cluster.files import KINDS
from pxdask.cluster.mpi_cluster import mpi_client
from pxdask.cluster.queues import QUEUES, queue_client
from pxdask.cluster.security import (
    DASHBOARD_PORT,
    LOOPBACK,
    free_port,
    ports_may_be_taken,
    stored_credentials,
)
from pxdask.core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from distributed import Client

NEVER = "3650 days"
"""When Dask itself may give up a worker that was lost: so long after, it closes what should bring
it back, even if that did and it is the next loss that is being mended. A supervisor knows better.
"""


@contextmanager
def connect(kind: str = "local", **options: Any) -> Iterator[Client]:  # noqa: ANN401  passed on
    """Give a client for as long as the block lasts.

    Parameters
    ----------
    kind : {"local", "address", "slurm", "pbs", "lsf", "sge", "oar", "moab", "htcondor", "mpi"}
        ``local`` starts worker processes of one thread each on this machine; ``address``
        joins a scheduler that runs already; ``mpi`` makes a cluster of the ranks of this
        program (see `mpi_client`); the others start a scheduler here and workers in jobs of
        that queue.
    **options
        For ``local``: ``workers`` (default: one a core) and ``memory_limit`` of a worker
        (default: an equal share). For ``address``: ``address`` of the scheduler,
        ``timeout_s`` [s], and where it wants TLS the files ``tls_ca_file``, ``tls_cert`` and
        ``tls_key``. For ``mpi``: fields of `MpiSettings`. For queues: fields of
        `QueueSettings`, such as ``jobs``, ``cores``, ``memory`` and ``walltime``.

    Raises
    ------
    ConfigError
        If the kind or an option is unknown, no scheduler answers, or the queue refuses jobs.

    Notes
    -----
    What only this machine needs listens on loopback alone: the workers of ``local``, and all
    dashboards (reach them through ``ssh -L``). Workers of a queue, and ranks on several
    machines, speak TLS with credentials made for this cluster alone.
    """
    import dask.config  # noqa: PLC0415  slow, and not always needed
    import distributed  # noqa: F401, PLC0415  what is set before its defaults would take them along

    makers: dict[str, Callable[..., AbstractContextManager[Client]]] = {
        "local": _local,
        "address": _address,
        "mpi": mpi_client,
        **{name: partial(queue_client, name) for name in QUEUES},
    }
    if kind not in makers:
        raise ConfigError(f"cluster kind is {kind!r}; known: {', '.join(KINDS)}")
    try:
        made = makers[kind](**options)
    except TypeError as error:
        raise ConfigError(f"cluster kind {kind!r}: {error}") from error
    with (
        dask.config.set({"distributed.deploy.lost-worker-timeout": NEVER}),
        ExitStack() as closed,
        made as client,
    ):
        try:
            yield client
        except KeyboardInterrupt:
            closed.enter_context(_quiet())
            raise


@contextmanager
def _local(workers: int | None = None, memory_limit: str | float = "auto") -> Iterator[Client]:
    """Start worker processes on this machine; nothing listens beyond loopback."""
    from distributed import Client, LocalCluster  # noqa: PLC0415  slow, and not always needed

    from pxdask.cluster.undisturbed import Undisturbed  # noqa: PLC0415  imports distributed

    with ExitStack() as stack:
        with ports_may_be_taken():
            cluster = LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                memory_limit=memory_limit,
                host=LOOPBACK,
                dashboard_address=f"{LOOPBACK}:{free_port(DASHBOARD_PORT)}",
                worker_dashboard_address=f"{LOOPBACK}:0",
            )
        stack.enter_context(cluster)
        client = stack.enter_context(Client(cluster))
        client.register_plugin(Undisturbed())
        try:
            yield client
        finally:
            if client.status == "running":
                client.run(_hush, on_error="ignore")
            with _quiet():
                stack.close()


def _hush() -> None:
    """Let what Dask says of itself in this process be for nobody.

    All work is done, or given up, when workers end. That one still greets a scheduler that is
    gone, drops a task, or takes seconds to die on a busy machine, is logged as an error with a
    traceback, and is none.
    """
    logging.getLogger("distributed").setLevel(logging.CRITICAL)


@contextmanager
def _quiet() -> Iterator[None]:
    """Hush Dask in this process for as long as the block lasts."""
    logger = logging.getLogger("distributed")
    level = logger.level
    _hush()
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def _address(
    address: str,
    timeout_s: float = 15.0,
    tls_ca_file: str | None = None,
    tls_cert: str | None = None,
    tls_key: str | None = None,
) -> Iterator[Client]:
    """Join a scheduler that runs already."""
    from distributed import Client  # noqa: PLC0415  slow, and not always needed

    security = stored_credentials(tls_ca_file, tls_cert, tls_key)
    try:
        client = Client(address, timeout=timeout_s, security=security)
    except (OSError, TimeoutError, ValueError, TypeError) as error:
        raise ConfigError(f"no Dask scheduler answers at {address}: {error}") from error
    with client:
        yield client
