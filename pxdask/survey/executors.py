"""What carries out calls, and the way to do it here, one after the other.

An executor takes calls whose arguments may be handles of earlier calls, and gives the handles
back as they complete. Results are small records; datasets go through files.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

from pxdask.survey.calls import Handle, explained, is_blocked, needs_of, replaced

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


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
        memory: float = 0.0,
    ) -> Handle:
        """Take a call; handles among ``args``, or in a list there, stand for their results.

        ``name`` is unique; its first word tells the kind of call. ``memory`` is what it takes at
        its peak [byte], 0 where that is not known.
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
        memory: float = 0.0,  # noqa: ARG002  one after the other takes the least
    ) -> Handle:
        """Take a call; see `Executor.submit`."""
        handle = Handle(name)
        self._waiting.append((handle, function, args))
        return handle

    def completed(self) -> Iterator[Handle]:
        """Carry out the waiting calls; see `Executor.completed`."""
        while self._waiting:
            handle, function, args = self._waiting.popleft()
            if not is_blocked(handle, needs_of(args)):
                try:
                    handle.result = function(*replaced(args, lambda earlier: earlier.result))
                except Exception as error:  # noqa: BLE001  a galaxy's defect must not end the run
                    handle.error = explained(error)
            handle.done = True
            yield handle
