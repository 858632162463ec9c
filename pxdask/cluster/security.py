"""Who may listen and who may speak: loopback by default, credentials beyond it."""

from __future__ import annotations

import os
import shutil
import socket
import warnings
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from pxdask.core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from distributed import Security

LOOPBACK = "127.0.0.1"

DASHBOARD_PORT = 8787
"""Port of dashboards, unless it is taken."""

_BEGINNING = f"credentials-{socket.gethostname()}-"
"""Of folders of credentials; the number of the process that made them follows."""

_LINK = "distributed.dashboard.link"
_DASK_LINK = "{scheme}://{host}:{port}/status"
"""Dask's setting of links to dashboards, and what it is unless a user changes it."""

ROLES = ("scheduler", "worker", "client")


def temporary_credentials() -> Security:
    """Return a new certificate and key, known to this process alone.

    Whoever has both may join the cluster; nobody else may, nor read what is said there.

    Raises
    ------
    ConfigError
        If the package that makes them is absent.
    """
    from distributed import Security  # noqa: PLC0415  slow, and not always needed

    try:
        made: Security = Security.temporary()
    except ImportError as error:
        raise ConfigError(
            "TLS needs the package cryptography: `pip install 'pxdask[hpc]'`; or trust everybody"
            " on the network, with `tls: false`"
        ) from error
    return made


@contextmanager
def shared_credentials(folder: Path) -> Iterator[Security]:
    """Give new credentials in files that workers on other machines can read, for the block.

    Raises
    ------
    ConfigError
        If they cannot be made; see `temporary_credentials`.
    """
    from distributed import Security  # noqa: PLC0415  slow, and not always needed

    made = temporary_credentials()
    _sweep(folder)
    texts = made.get_tls_config_for_role("worker")  # the same for all roles
    prefix = f"{_BEGINNING}{os.getpid()}-"
    with TemporaryDirectory(prefix=prefix, dir=folder) as name:  # for our eyes only
        files = {}
        for key, file in (("ca_file", "ca.pem"), ("cert", "cert.pem"), ("key", "key.pem")):
            path = Path(name) / file
            path.touch(mode=0o600)
            path.write_text(texts[key], encoding="ascii")
            files[key] = str(path)
        roles = {f"tls_{role}_{key}": files[key] for role in ROLES for key in ("cert", "key")}
        yield Security(require_encryption=True, tls_ca_file=files["ca_file"], **roles)


def _sweep(folder: Path) -> None:
    """Remove the credentials of processes of this machine that were killed."""
    for path in folder.glob(f"{_BEGINNING}*"):
        pid = path.name.removeprefix(_BEGINNING).partition("-")[0]
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            shutil.rmtree(path, ignore_errors=True)
        except (OSError, ValueError):  # somebody else's, or none of ours
            continue


def stored_credentials(ca_file: str | None, cert: str | None, key: str | None) -> Security | None:
    """Return the credentials in PEM files of a cluster that runs already; None without any.

    Raises
    ------
    ConfigError
        If some are given and some are not.
    """
    from distributed import Security  # noqa: PLC0415  slow, and not always needed

    given = {"tls_ca_file": ca_file, "tls_client_cert": cert, "tls_client_key": key}
    absent = [name for name, value in given.items() if value is None]
    if len(absent) == len(given):
        return None
    if absent:
        raise ConfigError(f"TLS needs three files; absent: {', '.join(absent)}")
    return Security(require_encryption=True, **given)


def settings_of_dask(credentials: Security | None) -> dict[str, Any]:
    """Return credentials as settings of Dask; it reads them wherever none are passed."""
    if credentials is None:
        return {}
    settings: dict[str, Any] = {"distributed.comm.require-encryption": True}
    for role in ROLES:
        found = credentials.get_tls_config_for_role(role)
        settings["distributed.comm.tls.ca-file"] = found["ca_file"]
        settings[f"distributed.comm.tls.{role}.cert"] = found["cert"]
        settings[f"distributed.comm.tls.{role}.key"] = found["key"]
    return settings


def dashboard_settings() -> dict[str, Any]:
    """Return settings of Dask that let links lead to dashboards where they listen: on loopback.

    Dask would name the scheduler's address, at which no dashboard answers. A link that the
    user's own settings describe, as behind a proxy, is left as it is.
    """
    import dask.config  # noqa: PLC0415  slow, and not always needed

    if dask.config.get(_LINK) != _DASK_LINK:
        return {}
    return {_LINK: _DASK_LINK.replace("{host}", LOOPBACK)}


def loopback_interface() -> str:
    """Return the name of the network interface that no other machine reaches.

    Raises
    ------
    ConfigError
        If there is none.
    """
    from distributed.utils import get_ip_interface  # noqa: PLC0415  slow, and not always needed

    for _, name in socket.if_nameindex():
        with suppress(ValueError):  # it has no address
            if get_ip_interface(name) == LOOPBACK:
                return name
    raise ConfigError(f"this machine has no interface with the address {LOOPBACK}")


@contextmanager
def ports_may_be_taken() -> Iterator[None]:
    """Hush Dask where somebody takes a port between `free_port` and its use: any other will do."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="(?s)Port .* is already in use")
        yield


def free_port(preferred: int) -> int:
    """Return a port of loopback if nothing listens there, else 0: any port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, preferred))
        except OSError:
            return 0
        return preferred
