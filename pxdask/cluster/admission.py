"""Who may work: a worker that has the driver's version of this package."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from distributed import WorkerPlugin

from pxdask.core.provenance import package_versions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from distributed import Worker

PACKAGE = "pxdask"

TOPIC = "pxdask-strangers"
"""Under which the scheduler keeps what strange workers told."""


@dataclass(frozen=True, slots=True)
class Stranger:
    """A worker whose packages are not the driver's.

    Attributes
    ----------
    name, address, host : str
        Of the worker.
    versions : dict
        Of its packages; empty if this package cannot be imported there.
    error : str
        What importing it said.
    """

    name: str
    address: str
    host: str
    versions: dict[str, str]
    error: str = ""

    def differs(self, wanted: Mapping[str, str]) -> list[str]:
        """Return the packages of which it has another version than wanted."""
        return [name for name in wanted if self.versions.get(name) != wanted[name]]

    def is_sent_away(self, wanted: Mapping[str, str]) -> bool:
        """Return whether it may not work: of other packages, a warning is enough."""
        return PACKAGE in self.differs(wanted)

    def text(self, wanted: Mapping[str, str]) -> str:
        """Return who it is, and what it has instead of what is wanted."""
        who = f"worker {self.name} on {self.host} ({self.address})"
        if not self.versions:
            return (
                f"{who} cannot import {PACKAGE}, of which this program has {wanted[PACKAGE]}:"
                f" {self.error}"
            )
        pairs = [
            f"{name} {self.versions.get(name, 'absent')}, this program {wanted[name]}"
            for name in self.differs(wanted)
        ]
        return f"{who} has {'; '.join(pairs)}"


def own_versions() -> dict[str, str]:
    """Return the versions of packages that this program has."""
    return {**package_versions(), PACKAGE: import_module(PACKAGE).__version__}


def admission(wanted: Mapping[str, str]) -> WorkerPlugin:
    """Return a plugin that keeps a worker from working unless it has the package in our version.

    A class made in a function is sent as code; one of a module would be sent as its name, with
    which a worker that lacks the package cannot do anything, not even say so.

    Parameters
    ----------
    wanted : mapping
        Versions of the packages here; that of `PACKAGE` must be the same.
    """
    package, topic = PACKAGE, TOPIC

    class Admission(WorkerPlugin):
        """Looks at a worker as it comes, before its first task."""

        name = "pxdask-admission"

        def setup(self, worker: Worker) -> None:
            """Let the worker in, or tell the scheduler and send it away."""
            from distributed import Status  # noqa: PLC0415  this is sent alone

            versions, error = self._versions()
            same_package = versions.get(package) == wanted[package]
            if same_package:
                from pxdask.cluster.draining import Draining  # noqa: PLC0415  it is there

                Draining().setup(worker)
            else:
                worker.status = Status.closing_gracefully  # it takes no task from now on
            if versions != dict(wanted):
                told = {"versions": versions, "error": error}
                worker.loop.add_callback(self._tell, worker, told, leave=not same_package)

        @staticmethod
        def _versions() -> tuple[dict[str, str], str]:
            """Return the versions of packages here, or why ours cannot be imported."""
            from importlib import import_module  # noqa: PLC0415  this is sent alone

            try:
                module = import_module(package)
                # none, if it is so old that it has not even this
                known = import_module(f"{package}.core.provenance").package_versions()
            except Exception as error:  # noqa: BLE001  whatever a broken installation raises
                return {}, f"{type(error).__name__}: {error}"
            return {**known, package: module.__version__}, ""

        @staticmethod
        async def _tell(worker: Worker, told: dict[str, Any], *, leave: bool) -> None:
            """Tell the scheduler who is here; then go, where that is wanted."""
            import platform  # noqa: PLC0415  this is sent alone

            message = {"name": str(worker.name), "address": worker.address, **told}
            await worker.scheduler.log_event(topic=topic, msg={**message, "host": platform.node()})
            if leave:
                await worker.scheduler.retire_workers(
                    workers=[worker.address], close_workers=False, remove=True
                )
                await worker.close(nanny=True, reason=f"another version of {package}")

    return Admission()
