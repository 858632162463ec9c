"""One thread for the linear algebra of a task: more would change the last bits, and fight."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from threadpoolctl import ThreadpoolController

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


def one_thread() -> AbstractContextManager[object]:
    """Return a context in which this process's BLAS uses one thread."""
    limited: AbstractContextManager[object] = _controller().limit(limits=1)
    return limited


@lru_cache(maxsize=1)
def _controller() -> ThreadpoolController:
    """Return the handle on the libraries, looked for once a process."""
    return ThreadpoolController()
