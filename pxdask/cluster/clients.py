"""Clients of local and existing clusters."""

from __future__ import annotations

import socket
import warnings
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import yaml

from pxdask.core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from distributed import Client

DASHBOARD_PORT = 8787
LOOPBACK = "127.0.0.1"


@contextmanager
def connect(kind: str = "local", **options: Any) -> Iterator[Client]:  # noqa: ANN401  passed on
    """Give a client for as long as the block lasts.

    Parameters
    ----------
    kind : {"local", "address"}
        ``local`` starts worker processes of one thread each on this machine; ``address``
        joins a scheduler that runs already.
    **options
        For ``local``: ``workers`` (default: one a core) and ``memory_limit`` of a worker
        (default: an equal share). For ``address``: ``address`` of the scheduler, and
        ``timeout_s`` [s].

    Raises
    ------
    ConfigError
        If the kind or an option is unknown, or no scheduler answers.
    """
    makers: dict[str, Callable[..., AbstractContextManager[Client]]] = {
        "local": _local,
        "address": _address,
    }
    if kind not in makers:
        raise ConfigError(f"cluster kind is {kind!r}; known: {', '.join(sorted(makers))}")
    try:
        made = makers[kind](**options)
    except TypeError as error:
        raise ConfigError(f"cluster kind {kind!r}: {error}") from error
    with made as client:
        yield client


def read_cluster_file(path: Path) -> dict[str, Any]:
    """Return the kind and options in a YAML file, to be given to `connect`.

    Raises
    ------
    ConfigError
        If the file cannot be read or names no kind.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"cannot read the cluster file {path}: {error}") from error
    if not isinstance(values, dict) or "kind" not in values:
        raise ConfigError(f"{path} must be a mapping with a 'kind', such as 'kind: local'")
    return values


@contextmanager
def _local(workers: int | None = None, memory_limit: str | float = "auto") -> Iterator[Client]:
    """Start worker processes on this machine; nothing listens beyond loopback."""
    from distributed import Client, LocalCluster  # noqa: PLC0415  slow, and not always needed

    with ExitStack() as stack:
        with warnings.catch_warnings():
            # somebody may take the port between our look and our use: any other will do
            warnings.filterwarnings("ignore", message="(?s)Port .* is already in use")
            cluster = LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                memory_limit=memory_limit,
                host=LOOPBACK,
                dashboard_address=f"{LOOPBACK}:{_free_port(DASHBOARD_PORT)}",
                worker_dashboard_address=f"{LOOPBACK}:0",
            )
        stack.enter_context(cluster)
        yield stack.enter_context(Client(cluster))


@contextmanager
def _address(address: str, timeout_s: float = 15.0) -> Iterator[Client]:
    """Join a scheduler that runs already."""
    from distributed import Client  # noqa: PLC0415  slow, and not always needed

    try:
        client = Client(address, timeout=timeout_s)
    except (OSError, TimeoutError, ValueError) as error:
        raise ConfigError(f"no Dask scheduler answers at {address}: {error}") from error
    with client:
        yield client


def _free_port(preferred: int) -> int:
    """Return a port if nothing listens there, else 0: any port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, preferred))
        except OSError:
            return 0
        return preferred
