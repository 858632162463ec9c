"""The way to carry out calls on a Dask cluster, whatever becomes of its workers."""

from __future__ import annotations

import asyncio
import logging
import time
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any
from uuid import uuid4
from weakref import WeakSet

from pxdask.survey.calls import Call, Handle, explained, is_blocked, replaced, stand_in
from pxdask.survey.memory import bears

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from distributed import Client, Future

    from pxdask.cluster.heartbeat import Heartbeat
    from pxdask.cluster.supervisor import Running, Sight, Supervision

logger = logging.getLogger(__name__)

RESULT_S, RESULT_LOOK_S = 60.0, 1.0
"""Patience with a result that is done but does not come, and time between two looks whether it is
lost by then [s]."""

LIMITS_EVERY_S = 5.0
"""Time after which the workers are asked again for their limits of memory [s]."""


class DaskExecutor:
    """Carries out calls on a Dask cluster, whatever becomes of its workers.

    A call whose worker died is tried again; if workers die on it repeatedly, in a process of its
    own, and only if that dies too the call is to blame. A call that takes far longer than its
    like runs a second time elsewhere, and the first result counts: outputs are atomic, and
    equal. What the scheduler has lost is submitted again. Keys are those of this executor alone:
    of equal ones Dask carries out the first, whoever's it is.

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
        self._mark = uuid4().hex[:8]
        self._settings = settings or Supervision()
        self._supervisor = Supervisor(client, self._settings)
        self._events: SimpleQueue[Future[Any]] = SimpleQueue()
        self._calls: dict[tuple[str, ...], Call] = {}
        self._of_key: dict[Any, Call] = {}
        self._parked: list[Call] = []
        self._kept: WeakSet[Handle] = WeakSet()
        self._unknown: dict[Any, int] = {}
        self._checked = time.monotonic()
        self._width = 0
        self._limits: dict[str, float] = {}
        self._limits_asked = -LIMITS_EVERY_S

    @property
    def width(self) -> int:
        """Number of threads of the cluster's workers, at least one; as it was if nobody answers."""
        threads = self._supervisor.ask(self._client.nthreads)
        if threads is not None:
            self._width = sum(int(n) for n in threads.values())
        return max(1, self._width)

    def submit(
        self,
        function: Callable[..., Any],
        *args: object,
        name: tuple[str, ...],
        priority: int = 0,
        memory: float = 0.0,
    ) -> Handle:
        """Take a call; see `Executor.submit`. ``name`` is what the dashboard shows.

        Its first word is the kind of call: the scheduler remembers every kind for good.
        """
        call = Call(Handle(name), function, args, priority, memory)
        self._calls[name] = call
        if any(earlier.done and earlier.error for earlier in call.needs):
            self._parked.append(call)  # to be told that it is blocked
        else:
            self._start(call)
        return call.handle

    def completed(self) -> Iterator[Handle]:
        """Yield handles as their futures finish; see `Executor.completed`."""
        from pxdask.cluster.heartbeat import Heartbeat  # noqa: PLC0415  imports distributed

        try:
            with (
                Heartbeat(silent_s=self._settings.silent_s) as heart,
                self._supervisor.asking(),
            ):
                yield from self._completed(heart)
        finally:
            for call in self._calls.values():
                self._give_up(call)  # nobody waits for them any more

    def _completed(self, heart: Heartbeat) -> Iterator[Handle]:
        """Yield handles as their futures finish; see `Executor.completed`."""
        while self._calls:
            heart.beat()
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
            self._check()

    def _start(self, call: Call, *, workers: list[str] | None = None) -> None:
        """Submit a call, or another copy of it.

        What the first copy takes stays on the workers; later ones take what came of it.
        """
        key = (*call.handle.name, f"{self._mark}-{call.n_copy}")
        call.n_copy += 1
        args = replaced(call.args, partial(stand_in, again=call.n_copy > 1))
        function, call.able = call.function, self._able(call.memory)
        if call.alone:
            from pxdask.cluster.alone import run_alone  # noqa: PLC0415  rarely needed

            function, args = run_alone, [call.function, *args]
        with self._supervisor.asking():
            future = self._client.submit(
                function,
                *args,
                key=key,
                pure=False,
                priority=call.priority,
                workers=call.able or workers,
                allow_other_workers=workers is not None
                and not call.able,  # for those may be gone when it starts
            )
        call.copies[key] = call.handle.future = future
        self._of_key[key] = call
        future.add_done_callback(self._events.put)

    def _able(self, need: float) -> list[str] | None:
        """Return the workers that can bear a call, where others cannot; None: all are alike."""
        if not need:
            return None
        if time.monotonic() - self._limits_asked > LIMITS_EVERY_S:
            self._limits_asked = time.monotonic()
            info = self._supervisor.ask(lambda: self._client.scheduler_info(n_workers=-1))
            if info is not None:
                workers = info["workers"].items()
                self._limits = {name: float(one["memory_limit"] or 0) for name, one in workers}
        able = [address for address, limit in self._limits.items() if bears(limit, need)]
        return able if 0 < len(able) < len(self._limits) else None

    def _ended(self, call: Call, future: Future[Any]) -> bool:
        """Take what came of a copy; return whether the call has ended with it."""
        from distributed import CancelledError  # noqa: PLC0415  slow, and not always needed

        if future.status == "error":
            return self._failed(call, future, future.exception())
        try:
            call.handle.result = self._fetched(future)
        except CancelledError:
            self._resubmit_all()
            return False
        except _LostError:
            call.give_up(future.key)
            if not call.copies:
                logger.info("%s: its result is lost; again", " ".join(call.handle.name))
                self._start(call)
            return False
        except (OSError, TimeoutError):  # of the way here: its worker died with it, or hangs
            call.give_up(future.key)
            return not self._tried_again(call, alone=False)
        except Exception as error:  # noqa: BLE001  it was lost, and making it again failed
            return self._failed(call, future, error)
        return True

    def _fetched(self, future: Future[Any]) -> Any:  # noqa: ANN401  whatever the call gave
        """Return the result of a call that is done; the cluster is looked after meanwhile.

        Dask would wait for one whose worker has died until another has made it again, and it is
        here that others are asked for. What fetches is never stopped between two looks: Dask may
        remember one that was stopped before it began, and add all later ones to it.

        Raises
        ------
        _LostError
            If it died with its worker.
        TimeoutError
            If it does not come.
        CancelledError
            If the scheduler is lost, and all it knew.
        """
        end = time.monotonic() + RESULT_S
        loop: Any = self._client.loop
        fetching = asyncio.run_coroutine_threadsafe(_result(future), loop.asyncio_loop)
        while future.status in ("finished", "cancelled"):
            try:
                return fetching.result(timeout=RESULT_LOOK_S)
            except TimeoutError:
                if fetching.done() or time.monotonic() > end:
                    raise
            self._check()
        raise _LostError

    def _failed(self, call: Call, future: Future[Any], error: BaseException) -> bool:
        """Try again if nobody knows whose fault it was; return whether the call has ended."""
        from distributed import KilledWorker  # noqa: PLC0415  slow, and not always needed

        from pxdask.cluster.alone import DiedAloneError  # noqa: PLC0415  rarely needed

        handle = call.handle
        call.give_up(future.key)
        if call.copies:
            return False  # the other may do it
        if not all(earlier.done for earlier in call.needs):
            self._parked.append(call)
            return False
        if is_blocked(handle, call.needs):
            return True
        if isinstance(error, DiedAloneError):
            handle.error, handle.permanent = str(error), True
            return True
        if not isinstance(error, KilledWorker):
            handle.error = explained(error)
            return True
        return not self._tried_again(call, alone=getattr(error, "task", None) == future.key)

    def _tried_again(self, call: Call, *, alone: bool) -> bool:
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

    def _settled(self, call: Call, key: object) -> Handle:
        """Return the handle of a call that has ended; its other copies are given up.

        What waits for the result of one of those is started again, with this result.
        """
        call.copies.pop(key, None)
        hangs = call.slow is not None and call.slow.key in call.copies
        if call.copies:
            self._give_up(call)
            waiting = [other for other in self._calls.values() if call.handle in other.needs]
            for other in waiting:
                self._give_up(other)
            self._parked += [other for other in waiting if other not in self._parked]
        if call.slow is not None and hangs:
            self._supervisor.restart(call.slow.worker)
        call.handle.done = True
        self._kept.add(call.handle)
        self._calls.pop(call.handle.name, None)
        self._supervisor.progressed()
        return call.handle

    def _let_go(self) -> None:
        """Let the cluster forget results that it has lost and that are here.

        It would make them again, before anything that was submitted later, as long as a caller
        keeps their handles.
        """
        for handle in list(self._kept):
            if handle.future is not None and handle.future.status != "finished":
                handle.future.release()
                handle.future = None
                self._kept.discard(handle)

    def _give_up(self, call: Call) -> None:
        """Give up all copies of a call."""
        for key in list(call.copies):
            self._of_key.pop(key, None)
            call.give_up(key)

    def _unparked(self) -> Iterator[Handle]:
        """Start the calls whose inputs are there by now; yield those that are blocked for good."""
        parked, self._parked = self._parked, []
        for call in parked:
            if not all(earlier.done for earlier in call.needs):
                self._parked.append(call)
            elif is_blocked(call.handle, call.needs):
                yield self._settled(call, None)
            else:
                self._start(call)

    def _resubmit_all(self) -> None:
        """Submit all calls anew, once the scheduler that has lost them is there again."""
        self._supervisor.await_scheduler()
        self._parked.clear()
        for call in self._calls.values():
            self._give_up(call)
        for call in self._calls.values():
            self._start(call)

    def _check(self) -> None:
        """Look at the cluster when it is time, and mend what can be mended."""
        if time.monotonic() - self._checked < self._settings.period_s:
            return
        self._checked = time.monotonic()
        self._let_go()
        self._supervisor.top_up()
        sight = self._supervisor.look(list(self._of_key))
        if sight is None:
            return
        self._revive(sight)
        self._place_anew(sight)
        for task in self._supervisor.slow(sight):
            self._start_second(task, sight)
        self._supervisor.explain_if_wedged(sight, self._calls)

    def _revive(self, sight: Sight) -> None:
        """Submit again what the scheduler does not know, in two looks on end: it was lost.

        Each further copy is given twice the time: a busy scheduler may not have got to it yet.
        """
        self._unknown = {key: self._unknown.get(key, 0) + 1 for key in sight.unknown}
        for key, n_look in self._unknown.items():
            call = self._of_key.get(key)
            if call is not None and n_look >= 2**call.n_copy and not call.copies[key].done():
                logger.warning("%s was lost by the scheduler: submitting it again", key)
                del self._of_key[key]
                call.give_up(key)
                self._start(call)

    def _place_anew(self, sight: Sight) -> None:
        """Submit again what waits for workers with much memory that are all gone."""
        here = {worker.address for worker in sight.workers}
        for call in self._calls.values():
            if call.able and call.copies and here.isdisjoint(call.able):
                self._give_up(call)
                self._start(call)

    def _start_second(self, task: Running, sight: Sight) -> None:
        """Let a slow task run on another worker as well."""
        call = self._of_key.get(task.key)
        others = [
            worker.address
            for worker in sight.workers
            if worker.address != task.worker and worker.status == "running"
        ]
        if call is None or call.slow or not others:
            return
        if not all(earlier.done for earlier in call.needs):
            return
        logger.warning(
            "%s runs for %.0f s on %s, its like take %.1f s: a second one starts elsewhere",
            *(" ".join(call.handle.name), task.seconds, task.worker),
            self._supervisor.typical[task.kind],
        )
        call.slow = task
        self._start(call, workers=others)


async def _result(future: Future[Any]) -> Any:  # noqa: ANN401  whatever the call gave
    """Return the result of a future of a client in whose loop this runs."""
    return await future


class _LostError(Exception):
    """A result is lost with the worker that had it."""
