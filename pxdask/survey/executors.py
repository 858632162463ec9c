"""Two ways to carry out calls: here, one after the other, or on a Dask cluster.

An executor takes calls whose arguments may be handles of earlier calls, and gives the handles
back as they complete. Results are small records; datasets go through files.
"""

from __future__ import annotations

import traceback
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from distributed import Client, Future


@dataclass(eq=False, slots=True)
class Handle:
    """One call: its result once it is done, or the text of what broke it."""

    name: tuple[str, ...]
    result: Any = None
    error: str = ""
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
        """Yield each handle when its call is done, until none is left."""
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
            try:
                handle.result = function(*_replaced(args, lambda earlier: earlier.result))
            except Exception as error:  # noqa: BLE001  one galaxy's defect must not end the run
                handle.error = _explained(error)
            yield handle


class DaskExecutor:
    """Carries out calls on a Dask cluster.

    Parameters
    ----------
    client : distributed.Client
        Client of the cluster.
    """

    def __init__(self, client: Client) -> None:
        from distributed import as_completed  # noqa: PLC0415  slow, and not always needed

        self._client = client
        self._running = as_completed()
        self._handles: dict[object, Handle] = {}

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
        handle = Handle(name)
        handle.future = self._client.submit(
            function,
            *_replaced(args, lambda earlier: earlier.future),
            key=name,
            pure=False,
            priority=priority,
        )
        self._handles[handle.name] = handle
        self._running.add(handle.future)
        return handle

    def completed(self) -> Iterator[Handle]:
        """Yield handles as their futures finish; see `Executor.completed`."""
        for future in self._running:
            handle = self._handles.pop(future.key)
            if future.status == "finished":
                handle.result = future.result()
            else:
                error = future.exception() if future.status == "error" else None
                handle.error = _explained(error) if error else f"the task was {future.status}"
            yield handle


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
