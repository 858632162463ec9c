"""Two ways to carry out calls: here, one after the other, or on a Dask cluster.

An executor takes calls whose arguments may be handles of earlier calls, and gives the handles
back as they complete. Results are small records; datasets go through files.
"""

from __future__ import annotations

import logging
import time
import traceback
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol

from pxdask.core.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from distributed import Client, Future

    from pxdask.cluster.supervisor import Running, Sight, Supervision

logger = logging.getLogger(__name__)

RESULT_S = 60.0
"""Patience with a result that is done but does not come, as when its worker has just died [s]."""


@dataclass(eq=False, slots=True)
class Handle:
    """One call: its result once it is done, or the text of what broke it.

    ``blocked`` tells that it was not carried out, as one whose result it takes was broken;
    ``permanent`` that it would break again.
    """

    name: tuple[str, ...]
    result: Any = None
    error: str = ""
    blocked: bool = False
    permanent: bool = False
    done: bool = False
    future: Future[Any] | None = field(default=None, repr=False)


class Executor(Protocol):
    """Carries out calls; the same calls give the same files whichever executor does them."""

    @property
    def width(self) -> int:
        """Number of calls that can run at once."""
        ...

    def submit(
        self,
        function: Callable[..., Any],
        *args: object,
        name: tuple[str, ...],
        priority: int = 0,
    ) -> Handle:
        """Take a call; handles among ``args``, or in a list there, stand for their results.

        ``name`` is unique; its first word tells the kind of call.
        """
        ...

    def completed(self) -> Iterator[Handle]:
        """Yield each handle when its call is done, until none is left.

        A call that takes the result of a broken one is not carried out: it is blocked.

        Raises
        ------
        ClusterError
            If what carries out the calls is gone.
        """
        ...


class SerialExecutor:
    """Carries out calls in this process, in the order in which they came."""

    width = 1

    def __init__(self) -> None:
        self._waiting: deque[tuple[Handle, Callable[..., Any], tuple[Any, ...]]] = deque()

    def submit(
        self,
        function: Callable[..., Any],
        *args: object,
        name: tuple[str, ...],
        priority: int = 0,  # noqa: ARG002  order is kept as it came
    ) -> Handle:
        """Take a call; see `Executor.submit`."""
        handle = Handle(name)
        self._waiting.append((handle, function, args))
        return handle

    def completed(self) -> Iterator[Handle]:
        """Carry out the waiting calls; see `Executor.completed`."""
        while self._waiting:
            handle, function, args = self._waiting.popleft()
            if not _is_blocked(handle, _needs(args)):
                try:
                    handle.result = function(*_replaced(args, lambda earlier: earlier.result))
                except Exception as error:  # noqa: BLE001  a galaxy's defect must not end the run
                    handle.error = _explained(error)
            handle.done = True
            yield handle


@dataclass(eq=False, slots=True)
class _Call:
    """A call on the cluster: what it is, and the copies of it that run now, by their keys."""

    handle: Handle
    function: Callable[..., Any]
    args: tuple[Any, ...]
    priority: int
    copies: dict[Any, Future[Any]] = field(default_factory=dict)
    n_copy: int = 0
    deaths: int = 0
    alone: bool = False
    second: str = ""

    @property
    def needs(self) -> list[Handle]:
        """The calls whose results this one takes."""
        return _needs(self.args)


class DaskExecutor:
    """Carries out calls on a Dask cluster, whatever becomes of its workers.

    A call whose worker died is tried again; if workers die on it repeatedly, in a process of its
    own, and only if that dies too the call is to blame. A call that takes far longer than its
    like runs a second time elsewhere, and the first result counts: outputs are atomic, and
    equal. What the scheduler has lost is submitted again.

    Parameters
    ----------
    client : distributed.Client
        Client of the cluster.
    settings : Supervision, optional
        When to act.
    """

    def __init__(self, client: Client, settings: Supervision | None = None) -> None:
        from pxdask.cluster.supervisor import (  # noqa: PLC0415  distributed is slow to load
            Supervision,
            Supervisor,
        )

        self._client = client
        self._settings = settings or Supervision()
        self._supervisor = Supervisor(client, self._settings)
        self._events: SimpleQueue[Future[Any]] = SimpleQueue()
        self._calls: dict[tuple[str, ...], _Call] = {}
        self._of_key: dict[Any, _Call] = {}
        self._parked: list[_Call] = []
        self._unknown: frozenset[Any] = frozenset()
        self._checked = time.monotonic()

    @property
    def width(self) -> int:
        """Number of threads of the cluster's workers, at least one."""
        return max(1, sum(int(n) for n in self._client.nthreads().values()))

    def submit(
        self,
        function: Callable[..., Any],
        *args: object,
        name: tuple[str, ...],
        priority: int = 0,
    ) -> Handle:
        """Take a call; see `Executor.submit`. ``name`` is what the dashboard shows.

        Its first word is the kind of call: the scheduler remembers every kind for good.
        """
        call = _Call(Handle(name), function, args, priority)
        self._calls[name] = call
        if any(earlier.done and earlier.error for earlier in call.needs):
            self._parked.append(call)  # to be told that it is blocked
        else:
            self._start(call)
        return call.handle

    def completed(self) -> Iterator[Handle]:
        """Yield handles as their futures finish; see `Executor.completed`."""
        while self._calls:
            yield from self._unparked()
            if not self._calls:
                return
            try:
                future = self._events.get(timeout=self._settings.period_s)
            except Empty:
                pass
            else:
                call = self._of_key.pop(future.key, None)
                if call is not None and self._ended(call, future):
                    yield self._settled(call, future.key)
            if time.monotonic() - self._checked >= self._settings.period_s:
                self._check()
                self._checked = time.monotonic()

    def _start(self, call: _Call, *, workers: list[str] | None = None) -> None:
        """Submit a call, or another copy of it.

        What the first copy takes stays on the workers; later ones take what came of it.
        """
        name = call.handle.name
        key = (*name, f"again-{call.n_copy}") if call.n_copy else name
        call.n_copy += 1
        args = _replaced(call.args, partial(_stand_in, again=call.n_copy > 1))
        function = call.function
        if call.alone:
            from pxdask.cluster.alone import run_alone  # noqa: PLC0415  rarely needed

            function, args = run_alone, [call.function, *args]
        try:
            future = self._client.submit(
                function, *args, key=key, pure=False, priority=call.priority, workers=workers
            )
        except RuntimeError as error:  # the client is closed
            self._supervisor.await_scheduler()
            raise ClusterError(f"the cluster takes no more tasks: {error}") from error
        call.copies[key] = call.handle.future = future
        self._of_key[key] = call
        future.add_done_callback(self._events.put)

    def _ended(self, call: _Call, future: Future[Any]) -> bool:
        """Take what came of a copy; return whether the call has ended with it."""
        from distributed import CancelledError  # noqa: PLC0415  slow, and not always needed

        if future.status == "finished":
            try:
                call.handle.result = future.result(timeout=RESULT_S)
            except (OSError, TimeoutError):  # of the way here: its worker died with it
                call.copies.pop(future.key, None)
                return not self._tried_again(call, alone=False)
            except CancelledError:
                self._resubmit_all()
                return False
            except Exception as error:  # noqa: BLE001  it was lost, and making it again failed
                return self._failed(call, future, error)
            return True
        if future.status == "error":
            return self._failed(call, future, future.exception())
        self._resubmit_all()
        return False

    def _failed(self, call: _Call, future: Future[Any], error: BaseException) -> bool:
        """Try again if nobody knows whose fault it was; return whether the call has ended."""
        from distributed import KilledWorker  # noqa: PLC0415  slow, and not always needed

        from pxdask.cluster.alone import DiedAloneError  # noqa: PLC0415  rarely needed

        handle = call.handle
        call.copies.pop(future.key, None)
        if call.copies:
            return False  # the other may do it
        if not all(earlier.done for earlier in call.needs):
            self._parked.append(call)
            return False
        if _is_blocked(handle, call.needs):
            return True
        if isinstance(error, DiedAloneError):
            handle.error, handle.permanent = str(error), True
            return True
        if not isinstance(error, KilledWorker):
            handle.error = _explained(error)
            return True
        return not self._tried_again(call, alone=getattr(error, "task", None) == future.key)

    def _tried_again(self, call: _Call, *, alone: bool) -> bool:
        """Start a call again, alone if workers died on it, unless it was tried too often."""
        call.deaths += 1
        name = " ".join(call.handle.name)
        if call.deaths > self._settings.tries:
            call.handle.error = f"its workers died {call.deaths} times, perhaps not of it"
            return False
        call.alone = call.alone or alone
        logger.warning("%s: its worker died; trying again%s", name, ", alone" * call.alone)
        self._start(call)
        return True

    def _settled(self, call: _Call, key: object) -> Handle:
        """Return the handle of a call that has ended; its other copies are given up."""
        call.copies.pop(key, None)
        for other, future in call.copies.items():
            self._of_key.pop(other, None)
            future.cancel()
        if call.second and key != call.handle.name and call.handle.name in call.copies:
            self._supervisor.restart(call.second)
        call.handle.done = True
        self._calls.pop(call.handle.name, None)
        self._supervisor.progressed()
        return call.handle

    def _unparked(self) -> Iterator[Handle]:
        """Start the calls whose inputs are there by now; yield those that are blocked for good."""
        parked, self._parked = self._parked, []
        for call in parked:
            if not all(earlier.done for earlier in call.needs):
                self._parked.append(call)
            elif _is_blocked(call.handle, call.needs):
                yield self._settled(call, None)
            else:
                self._start(call)

    def _resubmit_all(self) -> None:
        """Submit all calls anew, once the scheduler that has lost them is there again."""
        self._supervisor.await_scheduler()
        self._of_key.clear()
        self._parked.clear()
        for call in self._calls.values():
            call.copies.clear()
            self._start(call)

    def _check(self) -> None:
        """Look at the cluster, and mend what can be mended."""
        self._supervisor.top_up()
        sight = self._supervisor.look(list(self._of_key))
        if sight is None:
            return
        self._revive(sight)
        for task in self._supervisor.slow(sight):
            self._start_second(task, sight)
        self._supervisor.explain_if_wedged(sight, self._calls)

    def _revive(self, sight: Sight) -> None:
        """Submit again what the scheduler does not know, twice in a row: it was lost."""
        for key in sight.unknown & self._unknown:
            call = self._of_key.get(key)
            if call is not None and not call.copies[key].done():
                logger.warning("%s was lost by the scheduler: submitting it again", key)
                del self._of_key[key], call.copies[key]
                self._start(call)
        self._unknown = sight.unknown

    def _start_second(self, task: Running, sight: Sight) -> None:
        """Let a slow task run on another worker as well."""
        call = self._of_key.get(task.key)
        others = [
            worker.address
            for worker in sight.workers
            if worker.address != task.worker and worker.status == "running"
        ]
        if call is None or call.second or not others:
            return
        if not all(earlier.done for earlier in call.needs):
            return
        logger.warning(
            "%s runs for %.0f s on %s, its like take %.1f s: a second one starts elsewhere",
            *(" ".join(call.handle.name), task.seconds, task.worker),
            self._supervisor.typical[task.kind],
        )
        call.second = task.worker
        self._start(call, workers=others)


def _needs(args: tuple[Any, ...]) -> list[Handle]:
    """Return the handles among arguments, alone or in lists."""
    items = [item for arg in args for item in (arg if isinstance(arg, list) else [arg])]
    return [item for item in items if isinstance(item, Handle)]


def _is_blocked(handle: Handle, needs: list[Handle]) -> bool:
    """Return, and note, whether a call cannot be carried out, as one before it was broken."""
    broken = next((earlier for earlier in needs if earlier.done and earlier.error), None)
    if broken is not None:
        handle.blocked, handle.error = True, broken.error
    return broken is not None


def _stand_in(earlier: Handle, *, again: bool) -> Any:  # noqa: ANN401  whatever the call gave
    """Return what stands for the result of an earlier call: its future, or the result itself.

    A future may be lost with its worker, so what is tried again takes results where they are.
    """
    future = earlier.future
    if earlier.done and (again or future is None or future.status != "finished"):
        return earlier.result
    return future


def _replaced(args: tuple[Any, ...], value: Callable[[Handle], Any]) -> list[Any]:
    """Return arguments with handles, alone or in lists, replaced."""
    return [
        value(arg)
        if isinstance(arg, Handle)
        else [value(item) if isinstance(item, Handle) else item for item in arg]
        if isinstance(arg, list)
        else arg
        for arg in args
    ]


def _explained(error: BaseException) -> str:
    """Return what went wrong, with the place in the code: this is a defect, or a dead worker."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" (at {frames[-1].name}, line {frames[-1].lineno})" if frames else ""
    return f"unexpected {type(error).__name__}: {error}{place}"
