"""The whole work on a galaxy as plain values, before anything is computed.

Keys are content hashes of recipes: stage, version, settings, catalogue row, input files and
input keys. All but the number of fit blocks is known before the first pixel is read, and the key
of a fit does not depend on it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from pxdask.core.names import file_name
from pxdask.survey.stages import STAGES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SUFFIX = ".zarr.zip"

GALAXIES = "galaxies"
"""The folder of a run that holds its galaxies' outputs."""

SEALS = "seals"
"""The folder of a run that holds what `seal_path` names."""

PRODUCT_FILES = {"maps": ".fits", "summary": ".png"}
"""Files of the products stage: their names and endings."""

FILES_BESIDE = {"morphology": (".fits", ".png")}
"""Endings of what a stage writes for people beside its dataset, under the same name."""


@dataclass(frozen=True, slots=True)
class Task:
    """One stage (and one part of it: a band, some wavelengths, a block of bins) of one galaxy."""

    galaxy_id: str
    stage: str
    part: str
    key: str

    def __reduce__(self) -> tuple[type[Task], tuple[str, str, str, str]]:
        """Pickle a task as its words: a run found done is many, and dataclasses take longer."""
        return Task, (self.galaxy_id, self.stage, self.part, self.key)

    def path(self, root: Path, suffix: str = SUFFIX) -> Path:
        """Where the output of this task is, or will be: always in the galaxy's folder."""
        name = file_name(self.stage, self.part, self.key)
        return galaxy_folder(root, self.galaxy_id) / f"{name}{suffix}"


@dataclass(frozen=True, slots=True)
class Keys:
    """The content key of every output of one galaxy; that of what it does not have is empty."""

    image: Mapping[str, str]
    cube: str
    ifs: str
    spectra: str
    bins: str
    fit: str
    lines: str
    maps: str
    products: str
    integrated: str = ""
    morphology: str = ""
    radial: str = ""


@lru_cache  # a galaxy's tasks ask one after the other
def galaxy_folder(root: Path, galaxy_id: str) -> Path:
    """Return a galaxy's folder; 256 shards keep directories small.

    Raises
    ------
    ConfigError
        If the identifier cannot be a folder's name; see `pxdask.core.names`.
    """
    shard = hashlib.blake2b(galaxy_id.encode(), digest_size=1).hexdigest()
    return root / GALAXIES / shard / file_name(galaxy_id)


def seal_path(root: Path, galaxy_id: str) -> Path:
    """Return the file that tells that a galaxy is finished; see `pxdask.survey.care.seals`."""
    folder = galaxy_folder(root / SEALS, galaxy_id)
    return folder.with_name(f"{folder.name}.json")


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
