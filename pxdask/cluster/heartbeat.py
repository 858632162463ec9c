"""A heartbeat: what tells of a program that hangs, when the program itself cannot."""

from __future__ import annotations

import logging
import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

logger = logging.getLogger(__name__)


class Heartbeat:
    """Tells where the thread that entered it is, if that has not beaten for long.

    A call that never returns, to a scheduler or a disk that does not answer, keeps a driver from
    seeing anything else. Another thread sees that, and says so: again after twice as long, and so
    on.

    Parameters
    ----------
    silent_s : float
        Time without a beat after which it is told [s].
    """

    def __init__(self, *, silent_s: float) -> None:
        self._silent_s = silent_s
        self._last = time.monotonic()
        self._of = threading.get_ident()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="pxdask-heartbeat", daemon=True)

    def __enter__(self) -> Self:
        """Begin to watch this thread."""
        self._of = threading.get_ident()
        self.beat()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        frames: TracebackType | None,
    ) -> None:
        """End watching."""
        self._ended.set()
        self._thread.join()

    def beat(self) -> None:
        """Show that the thread goes on."""
        self._last = time.monotonic()

    def _watch(self) -> None:
        """Speak up, as long as it takes."""
        patience, seen = self._silent_s, self._last
        while not self._ended.wait(self._silent_s / 4):
            if self._last != seen:
                patience, seen = self._silent_s, self._last
            silent = time.monotonic() - seen
            if silent >= patience:
                patience *= 2
                logger.warning("the run has been stuck for %.0f s, in:\n%s", silent, self._place())

    def _place(self) -> str:
        """Return where the watched thread is."""
        frame = sys._current_frames().get(self._of)  # noqa: SLF001  Python has no other way
        return "".join(traceback.format_stack(frame)) if frame is not None else "a thread that died"
