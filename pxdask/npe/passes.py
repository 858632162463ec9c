"""What a training learns from, pass by pass: mocks are made while those before are learnt."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    import numpy as np
    from numpy.typing import NDArray

    Pair = tuple[NDArray[np.float32], NDArray[np.float32]]


class Passes:
    """Inputs and targets of each pass, made in another thread as soon as the one before is taken.

    Two passes are in memory at a time. A context: no more are made after it.

    Parameters
    ----------
    make : callable
        Returns inputs (n_row, n_input) and targets (n_row, n_dim) of a slice, by its number; the
        same whenever it is asked.
    n_slices : int
        Slices that all mocks are cut into.
    n_passes : int
        Passes: more than slices where mocks are learnt from again. Pass ``n_slices`` is slice 0.
    """

    def __init__(self, make: Callable[[int], Pair], *, n_slices: int, n_passes: int) -> None:
        self.n_slices, self.n_passes = n_slices, n_passes
        self._make = make
        self._made: dict[int, Future[Pair]] = {}
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="pxdask-mocks")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def take(self, number: int) -> Pair:
        """Return inputs and targets of a pass, counted from 0; the next begins to be made."""
        ahead = range(number, min(number + 2, self.n_passes))
        wanted = [each % self.n_slices for each in ahead]
        self._made = {place: made for place, made in self._made.items() if place in wanted}
        for place in wanted:
            if place not in self._made:
                self._made[place] = self._pool.submit(self._make, place)
        return self._made[wanted[0]].result()
