"""How commands end that could not do their work: a line and an exit code, no traceback."""

from __future__ import annotations

import os
import traceback
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console

from pxdask.core.config import cache_folder, wants_traceback
from pxdask.core.errors import PxdaskError
from pxdask.core.remote import location

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

EXIT_ERROR = 2
"""Nothing was done: an argument, the configuration or the catalogue is wrong."""

EXIT_UNFORESEEN = 3
"""An error that is a fault of the program or of what it stands on."""

TRACEBACK = "--traceback"

err = Console(stderr=True)


def guarded(app: Callable[..., Any], words: Sequence[str]) -> None:
    """Carry out a command line; errors are a message and an exit code.

    ``--traceback`` may stand anywhere before ``--``, since it is what one adds to the line that
    failed; the variable ``PXDASK_TRACEBACK`` does the same for scripts.
    """
    end = words.index("--") if "--" in words else len(words)
    shown = TRACEBACK in words[:end] or wants_traceback()
    left = [word for place, word in enumerate(words) if place >= end or word != TRACEBACK]
    try:
        app(args=left, prog_name="pxdask")
    except PxdaskError as error:
        _say(f"{traceback.format_exc()}\n" if shown else "", f"error: {error}")
        raise SystemExit(EXIT_ERROR) from None
    except Exception as error:  # noqa: BLE001  the last who can say what happened
        text = traceback.format_exc()
        first = str(error).partition("\n")[0]
        fault = f"unforeseen error: {type(error).__name__}: {first}"
        _say(text if shown else "", f"{fault}; {_place(text, left)}")
        raise SystemExit(EXIT_UNFORESEEN) from None


@contextmanager
def resumable(store: str) -> Iterator[None]:
    """Say how to go on with a run, if who started it interrupts it; then let that go on."""
    try:
        yield
    except KeyboardInterrupt:
        from pxdask.survey.results import RUN  # noqa: PLC0415  commands load what they need

        begun = (location(store) / RUN).is_file()
        _say(f"interrupted; go on with `pxdask resume {store}`" if begun else "interrupted")
        raise


def _place(text: str, words: Sequence[str]) -> str:
    """Return where the traceback is, once it is there."""
    now = datetime.now(UTC)
    path = cache_folder() / "errors" / f"{now:%Y%m%dT%H%M%S}-{os.getpid()}.log"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        line = " ".join(("pxdask", *words))
        path.write_text(f"{now:%Y-%m-%d %H:%M:%S} UTC\n{line}\n{text}", encoding="utf-8")
    except OSError as error:
        return f"its traceback: pxdask ... {TRACEBACK} (no log: {error})"
    return f"its traceback is in {path}"


def _say(*lines: str) -> None:
    """Print lines that are not empty, as they are."""
    for line in lines:
        if line:
            err.print(line, style="red", markup=False, highlight=False, soft_wrap=True)
