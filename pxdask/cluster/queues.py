"""Workers in the jobs of a queue, by dask-jobqueue, which knows how each queue is spoken to.

What it leaves open is done here: a job that the queue refuses is an error with the queue's own
words, scripts are tried before they are submitted where the queue has a way to, lifetimes end
before walltimes do, and nothing but the scheduler's and the workers' own ports is open.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import math
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pxdask.cluster.queue_settings import QueueSettings
from pxdask.cluster.security import (
    LOOPBACK,
    dashboard_settings,
    free_port,
    ports_may_be_taken,
    shared_credentials,
)
from pxdask.cluster.trials import PATIENCE_S, absent, try_script
from pxdask.core.config import cache_folder
from pxdask.core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from distributed import Client, Security

logger = logging.getLogger(__name__)

JOB_NAME = "pxdask"

AT_ONCE = 8
"""Submissions at once: login nodes, and those who share them, dislike hundreds."""


def _clock(seconds: float) -> str:
    """Return hours:minutes:seconds."""
    whole = math.ceil(seconds)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def _minutes(seconds: float) -> str:
    """Return hours:minutes, which is all that LSF understands."""
    whole = math.ceil(seconds / 60)
    return f"{whole // 60:02d}:{whole % 60:02d}"


@dataclass(frozen=True, slots=True)
class Queue:
    """How one queue differs from the others.

    Attributes
    ----------
    name : str
        Of its classes in dask-jobqueue, without "Cluster".
    words : mapping
        dask-jobqueue's names of those settings that the queue knows.
    walltime : callable
        Seconds as the queue writes them.
    dry_run : tuple of str
        Command that tries a job script without submitting it; empty where there is none.
    refusal : str
        What the dry run prints of a script that it refuses, if its exit code does not tell.
    doubtful : str
        What the dry run says of more than any node has, but also when those that have it are down.
    nodes : tuple of str
        Command that prints cores and memory [MiB] of each node, whatever its state.
    """

    name: str
    words: Mapping[str, str]
    walltime: Callable[[float], str] = _clock
    dry_run: tuple[str, ...] = ()
    refusal: str = ""
    doubtful: str = ""
    nodes: tuple[str, ...] = ()


_COMMON = {"queue": "queue", "walltime": "walltime"}
_TORQUE = {**_COMMON, "project": "account", "resources": "resource_spec"}
_OTHERS = {**_COMMON, "project": "project", "resources": "resource_spec"}

QUEUES = {
    "slurm": Queue(
        "SLURM",
        {**_COMMON, "project": "account"},
        dry_run=("sbatch", "--test-only"),
        doubtful="Requested node configuration is not available",
        nodes=("sinfo", "-h", "-N", "-o", "%c %m"),
    ),
    "pbs": Queue("PBS", _TORQUE),
    "moab": Queue("Moab", _TORQUE),
    "lsf": Queue("LSF", {**_COMMON, "project": "project"}, walltime=_minutes),
    "sge": Queue("SGE", _OTHERS, dry_run=("qsub", "-w", "v"), refusal="no suitable queues"),
    "oar": Queue("OAR", {**_OTHERS, "memory_property": "memory_per_core_property_name"}),
    "htcondor": Queue(
        "HTCondor", {"disk": "disk"}, dry_run=("condor_submit", "-dry-run", "/dev/null")
    ),
}
"""The queues. Those without a dry run tell what is wrong when the first job is submitted."""

OWN_SETTINGS = frozenset({"queue", "project", "resources", "memory_property"})
"""Settings that not every queue knows, and that are refused where it does not."""


@dataclass(slots=True)
class Submissions:
    """What became of the jobs of one cluster: numbers of those taken, words of refusals."""

    taken: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


def job_script(kind: str, options: Mapping[str, Any]) -> str:
    """Return the script of a job, for a scheduler whose address is not known yet.

    No queue is needed.

    Parameters
    ----------
    kind : str
        One of `QUEUES`.
    options : mapping
        Fields of `QueueSettings`.

    Raises
    ------
    ConfigError
        If an option is unknown or wrong, or dask-jobqueue is absent.
    """
    settings = QueueSettings.parse(options)
    protocol = "tls" if settings.tls else "tcp"
    credentials = _unnamed_credentials(settings) if settings.tls else None
    job = _job_class(QUEUES[kind], Submissions())(
        f"{protocol}://SCHEDULER:PORT",
        name=f"{JOB_NAME}-N",
        protocol=protocol,
        security=credentials,
        **_arguments(kind, settings),
    )
    return str(job.job_script())


@contextmanager
def queue_client(kind: str, **options: Any) -> Iterator[Client]:  # noqa: ANN401  see QueueSettings
    """Start a scheduler here and workers in jobs; give its client.

    The block begins once the queue has taken the jobs: workers come when it lets them run.
    ``client.cluster.submissions`` tells what the queue took and refused, then and later. Jobs
    end with the block, and soon after this process if it is killed.

    Raises
    ------
    ConfigError
        If an option is wrong, or the queue refuses a job: with what it says.
    """
    settings = QueueSettings.parse(options)
    queue = QUEUES[kind]
    try_script(queue, settings, job_script(kind, options))
    submissions = Submissions()
    import dask.config  # noqa: PLC0415  slow, and not always needed
    from distributed import Client  # noqa: PLC0415

    with ExitStack() as stack:
        stack.enter_context(dask.config.set(dashboard_settings()))
        credentials = None
        if settings.tls:
            credentials = stack.enter_context(shared_credentials(_shared(settings)))
        else:
            logger.warning("tls is off: whoever reaches the scheduler may run what they like")
        cluster = stack.enter_context(_cluster(kind, settings, credentials, submissions))
        cluster.submissions = submissions
        cluster.scale(jobs=settings.n_job)
        _await_submissions(submissions, settings.n_job)
        yield stack.enter_context(Client(cluster))


def _cluster(
    kind: str, settings: QueueSettings, credentials: Security | None, submissions: Submissions
) -> Any:  # noqa: ANN401  untyped
    """Return a cluster of no jobs, whose scheduler listens."""
    from distributed.utils import get_ip  # noqa: PLC0415  slow, and not always needed

    queue = QUEUES[kind]
    where = {"interface": settings.interface} if settings.interface else {"host": get_ip()}
    dashboard = f"{LOOPBACK}:{free_port(settings.dashboard_port)}"
    with ports_may_be_taken():
        return getattr(_module(), f"{queue.name}Cluster")(
            name=JOB_NAME,
            job_cls=_job_class(queue, submissions),
            security=credentials,
            protocol="tls://" if credentials else "tcp://",
            scheduler_options={**where, "dashboard_address": dashboard},
            **_arguments(kind, settings),
        )


def _module() -> Any:  # noqa: ANN401  untyped
    """Return dask-jobqueue."""
    try:
        return importlib.import_module("dask_jobqueue")
    except ImportError as error:
        raise ConfigError(
            f"job queues need dask-jobqueue ({error}): `pip install 'pxdask[hpc]'`"
        ) from error


def _arguments(kind: str, settings: QueueSettings) -> dict[str, Any]:
    """Return settings as dask-jobqueue's arguments of one queue."""
    queue = QUEUES[kind]
    values = {**settings.model_dump(), "walltime": queue.walltime(settings.walltime)}
    if unknown := [key for key in OWN_SETTINGS - set(queue.words) if values[key] is not None]:
        known = ", ".join(sorted(queue.words))
        raise ConfigError(f"{kind} has no {', '.join(sorted(unknown))}; it has {known}")
    if kind == "oar" and settings.memory_property is None:
        values["memory_property"] = "not_applicable"
    arguments = {word: values[key] for key, word in queue.words.items()}
    directives: object = list(settings.directives)
    if kind == "oar":
        directives = _with_logs(settings)
    if kind == "htcondor":
        directives = _assignments(settings.directives)
    return {
        **{word: value for word, value in arguments.items() if value is not None},
        "cores": settings.cores,
        "processes": settings.n_process,
        "memory": settings.memory,
        "interface": settings.interface,
        "death_timeout": f"{settings.death_timeout:g}",
        "local_directory": f'"{settings.scratch}"' if settings.scratch else None,
        "worker_extra_args": _worker_words(settings),
        "job_extra_directives": directives,
        "job_directives_skip": list(settings.directives_skip),
        "job_script_prologue": list(settings.prologue),
        "log_directory": _logs(settings),
        "python": settings.python,
        "job_name": JOB_NAME,
    }


def _worker_words(settings: QueueSettings) -> list[str]:
    """Return words for the worker's command: it ends in time, and shows itself to its node only."""
    return [
        "--lifetime",
        f"{settings.lifetime:.0f}s",
        "--lifetime-stagger",
        f"{settings.stagger:.0f}s",
        "--dashboard-address",
        f"{LOOPBACK}:0",
    ]


def _with_logs(settings: QueueSettings) -> list[str]:
    """Return OAR's directives with where a job prints to, of which dask-jobqueue does not tell it.

    OAR puts the job's number for ``%jobid%``. What the user names comes first.
    """
    given = list(settings.directives)
    start = f"{_logs(settings)}/{JOB_NAME}-%jobid%"
    for words, ending in ((("-O", "--stdout"), "out"), (("-E", "--stderr"), "err")):
        if not any(line.strip().startswith(words) for line in given):
            given.append(f"{words[0]} {start}.{ending}")
    return given


def _assignments(directives: tuple[str, ...]) -> dict[str, str]:
    """Return HTCondor's lines ``name = value`` as a mapping."""
    pairs = [line.partition("=") for line in directives]
    if wrong := [name for name, sign, _ in pairs if not sign]:
        raise ConfigError(f"a directive of htcondor is 'name = value'; found {wrong[0]!r}")
    return {name.strip(): value.strip() for name, _, value in pairs}


def _shared(settings: QueueSettings) -> Path:
    """Return the folder that all nodes see, made if absent, for our eyes only."""
    folder = Path(settings.shared).expanduser() if settings.shared else cache_folder() / "cluster"
    return _made(folder.absolute())


def _logs(settings: QueueSettings) -> str:
    """Return the folder of what jobs print."""
    if settings.logs:
        return str(_made(Path(settings.logs).expanduser().absolute()))
    return str(_made(_shared(settings) / "logs"))


def _made(folder: Path) -> Path:
    """Return a folder that is there."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot make the folder {folder}: {error.strerror}") from error
    return folder


def _unnamed_credentials(settings: QueueSettings) -> Security:
    """Return where credentials will be, under names that are not known yet."""
    from distributed import Security  # noqa: PLC0415  slow, and not always needed

    folder = settings.shared or str(cache_folder() / "cluster")
    return Security(
        require_encryption=True,
        tls_ca_file=f"{folder}/CA",
        tls_worker_cert=f"{folder}/CERTIFICATE",
        tls_worker_key=f"{folder}/KEY",
    )


def _await_submissions(submissions: Submissions, n_job: int) -> None:
    """Wait until the queue has answered to all first submissions, or is slow.

    Raises
    ------
    ConfigError
        If it refused one, with what it says.
    """
    end = time.monotonic() + PATIENCE_S
    while not submissions.refused and len(submissions.taken) < n_job and time.monotonic() < end:
        time.sleep(0.02)
    if submissions.refused:
        raise ConfigError(f"the queue refuses a job: {submissions.refused[0]}")


def _job_class(queue: Queue, submissions: Submissions) -> Any:  # noqa: ANN401  untyped
    """Return the queue's class of jobs, which notes what the queue says to each."""
    base: Any = getattr(_module(), f"{queue.name}Cluster").job_cls
    at_once = asyncio.Semaphore(AT_ONCE)

    class NotedJob(base):  # type: ignore[misc]  # untyped
        """A job that notes its submission, and is closed when it says so."""

        async def start(self) -> None:
            """Submit the job."""
            from distributed.core import Status  # noqa: PLC0415  slow, and not always needed

            try:
                async with at_once:
                    await super().start()
            except (RuntimeError, ValueError, OSError) as error:
                self.status = Status.failed
                said = _said(error, self.submit_command)
                submissions.refused.append(said)
                logger.warning("the queue refuses a job: %s", said)
                raise
            submissions.taken.append(str(self.job_id))

        async def close(self) -> None:
            """Take the job out of the queue."""
            from distributed.core import Status  # noqa: PLC0415  slow, and not always needed

            await super().close()
            self.status = Status.closed

        async def _submit_job(self, script_filename: str) -> Any:  # noqa: ANN401  untyped
            """Submit; LSF reads directives only from what it is told, and shall be heard."""
            if self.submit_command != "bsub":
                return await super()._submit_job(script_filename)
            with Path(script_filename).open("rb") as script:  # noqa: ASYNC230  a few lines
                return await self._call([self.submit_command], stdin=script)

    return NotedJob


def _said(error: Exception, command: str) -> str:
    """Return what the queue said, without what dask-jobqueue puts around it."""
    if isinstance(error, FileNotFoundError):
        return absent(command.split(maxsplit=1)[0])
    _, found, words = str(error).partition("stderr:\n")
    return words.strip() if found and words.strip() else str(error)
