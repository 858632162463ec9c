"""The whole work on a galaxy as plain values, before anything is computed.

Keys are content hashes: of stage, version, settings, catalogue row, input files and input
keys. All but the number of fit blocks is known before the first pixel is read, and the key
of a fit does not depend on it.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pxdask.core.provenance import content_key
from pxdask.survey.stages import STAGES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pxdask.survey.stages import Stage

SUFFIX = ".zarr.zip"

PRODUCT_FILES = {"maps": ".fits", "summary": ".png"}
"""Files of the products stage: their names and endings."""


@dataclass(frozen=True, slots=True)
class Task:
    """One stage (and one part of it: a band, some wavelengths, a block of bins) of one galaxy."""

    galaxy_id: str
    stage: str
    part: str
    key: str

    def path(self, root: Path, suffix: str = SUFFIX) -> Path:
        """Where the output of this task is, or will be."""
        return output_path(root, self.galaxy_id, self.stage, self.part, self.key, suffix)


@dataclass(frozen=True, slots=True)
class Keys:
    """The content key of every output of one galaxy; those of spectra are empty without any."""

    image: Mapping[str, str]
    cube: str
    ifs: str
    spectra: str
    bins: str
    fit: str
    lines: str
    maps: str
    products: str


def galaxy_folder(root: Path, galaxy_id: str) -> Path:
    """Return a galaxy's folder; 256 shards keep directories small."""
    shard = hashlib.blake2b(galaxy_id.encode(), digest_size=1).hexdigest()
    return root / "galaxies" / shard / galaxy_id


def output_path(
    root: Path, galaxy_id: str, stage: str, part: str, key: str, suffix: str = SUFFIX
) -> Path:
    """Return the file that holds one output."""
    name = "-".join(word for word in (stage, part, key) if word)
    return galaxy_folder(root, galaxy_id) / f"{name}{suffix}"


def stage_key(stage: Stage, galaxy: Mapping[str, object], *inputs: str) -> str:
    """Return a key equal exactly when stage, version, settings, galaxy and inputs are."""
    row = {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in galaxy.items()
    }
    return content_key([stage.name, stage.version, stage.settings(), row, list(inputs)])


def block_tasks(galaxy_id: str, key: str, *, n_bin: int, block_size: int) -> list[Task]:
    """Return the fit tasks of all blocks of bins, named by their first bin."""
    return [Task(galaxy_id, "fit", f"{start:06d}", key) for start in range(0, n_bin, block_size)]


def slice_tasks(galaxy_id: str, key: str, *, n_wave: int, chunk: int) -> list[Task]:
    """Return the tasks of all chunks of wavelengths, named by first and last + 1."""
    starts = range(0, n_wave, chunk)
    return [
        Task(galaxy_id, "ifs", f"{start:06d}-{min(start + chunk, n_wave):06d}", key)
        for start in starts
    ]


def from_stage_on(stage: str | None) -> frozenset[str]:
    """Return a stage and all that follow it; nothing for None."""
    return frozenset() if stage is None else frozenset(STAGES[STAGES.index(stage) :])
