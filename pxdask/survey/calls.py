"""Calls that an executor carries out: their handles, and what they take of one another."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from distributed import Future

    from pxdask.cluster.supervisor import Running


@dataclass(eq=False, slots=True, weakref_slot=True)
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


@dataclass(eq=False, slots=True)
class Call:
    """A call on the cluster: what it is, and the copies of it that run now, by their keys."""

    handle: Handle
    function: Callable[..., Any]
    args: tuple[Any, ...]
    priority: int
    memory: float = 0.0
    able: list[str] | None = None
    copies: dict[Any, Future[Any]] = field(default_factory=dict)
    n_copy: int = 0
    deaths: int = 0
    alone: bool = False
    slow: Running | None = None

    @property
    def needs(self) -> list[Handle]:
        """The calls whose results this one takes."""
        return needs_of(self.args)

    def give_up(self, key: object) -> None:
        """Let the cluster forget a copy; one that is only forgotten here would be carried out."""
        if (future := self.copies.pop(key, None)) is not None:
            future.release()


def needs_of(args: tuple[Any, ...]) -> list[Handle]:
    """Return the handles among arguments, alone or in lists."""
    items = [item for arg in args for item in (arg if isinstance(arg, list) else [arg])]
    return [item for item in items if isinstance(item, Handle)]


def is_blocked(handle: Handle, needs: list[Handle]) -> bool:
    """Return, and note, whether a call cannot be carried out, as one before it was broken."""
    broken = next((earlier for earlier in needs if earlier.done and earlier.error), None)
    if broken is not None:
        handle.blocked, handle.error = True, broken.error
    return broken is not None


def stand_in(earlier: Handle, *, again: bool) -> Any:  # noqa: ANN401  whatever the call gave
    """Return what stands for the result of an earlier call: its future, or the result itself.

    A future may be lost with its worker, so what is tried again takes results where they are.
    """
    future = earlier.future
    if earlier.done and (again or future is None or future.status != "finished"):
        return earlier.result
    return future


def replaced(args: tuple[Any, ...], value: Callable[[Handle], Any]) -> list[Any]:
    """Return arguments with handles, alone or in lists, replaced."""
    return [
        value(arg)
        if isinstance(arg, Handle)
        else [value(item) if isinstance(item, Handle) else item for item in arg]
        if isinstance(arg, list)
        else arg
        for arg in args
    ]


def explained(error: BaseException) -> str:
    """Return what went wrong, with the place in the code: this is a defect, or a dead worker."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" (at {frames[-1].name}, line {frames[-1].lineno})" if frames else ""
    return f"unexpected {type(error).__name__}: {error}{place}"
