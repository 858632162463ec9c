"""The state of a training, kept after each pass."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pxdask.core.files import replacing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Keeper:
    """Keeps the state of a member's training, and tells of it.

    Attributes
    ----------
    path : Path or None
        File of the state; None: it is not kept.
    key : str
        Of the training: another's state is not taken.
    tell : callable
        Called with ``done``, ``loss``, ``held_loss`` after each pass.
    """

    path: Path | None
    key: str
    tell: Callable[..., None]

    def load(self) -> dict[str, NDArray[Any]] | None:
        """Return the state that was kept of this training; None where there is none."""
        if self.path is None or not self.path.exists():
            return None
        with self.path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            found = {name: stored[name] for name in stored.files}
        if str(found.pop("key")) != self.key:
            logger.info("%s is the state of another training; it begins anew", self.path)
            return None
        logger.info("training goes on from %s, pass %d", self.path, len(found["loss"]))
        return found

    def report(
        self,
        number: int,
        loss: float,
        held_loss: float,
        state: Callable[[], dict[str, NDArray[Any]]],
    ) -> None:
        """Keep the state after a pass, counted from 0, and tell of it."""
        if self.path is not None:
            arrays: dict[str, Any] = {"key": np.array(self.key), **state()}
            with replacing(self.path) as part, part.open("wb") as file:
                np.savez(file, **arrays)
        self.tell(done=number + 1, loss=loss, held_loss=held_loss)


def member_file(checkpoint: Path | None, member: int) -> Path | None:
    """Return the file of a member's state."""
    if checkpoint is None:
        return None
    return checkpoint.with_name(f"{checkpoint.name}-{member}.npz")
