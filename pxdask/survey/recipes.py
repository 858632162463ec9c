"""Everything that decides the bytes of one output, as plain values; its hash is the output's key.

A recipe is written into the output, so that a file tells by itself what made it, without the run.
Nothing in it says when or where: equal recipes give equal bytes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pxdask.core.provenance import code_state, content_key, package_versions

if TYPE_CHECKING:
    from pxdask.survey.plan import Keys

RECIPE = "recipe"
"""Attribute of outputs that holds their recipe."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What one output is made of.

    Attributes
    ----------
    stage : str
        Name of the stage.
    version : int
        The stage's version.
    settings : mapping
        The settings that count, as JSON values; seeds are among them where numbers are drawn.
    row : mapping
        The catalogue row; numbers that are not finite are None.
    outputs : mapping
        Key of each output that is read, by its stage and band.
    files : mapping
        Digest of each input file that is read, by what the file is for.
    """

    stage: str
    version: int
    settings: Mapping[str, object]
    row: Mapping[str, object]
    outputs: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The output's content key: equal exactly when the recipes are."""
        inputs = [list(pair) for pair in (*self.outputs.items(), *self.files.items())]
        return content_key([self.stage, self.version, self.settings, self.row, inputs])

    @property
    def config_key(self) -> str:
        """Content key of the settings that count."""
        return content_key(self.settings)

    def facts(self) -> dict[str, Any]:
        """Return the recipe as JSON values."""
        return {
            "version": self.version,
            "settings": dict(self.settings),
            "row": dict(self.row),
            "outputs": dict(self.outputs),
            "files": dict(self.files),
        }

    def attrs(self) -> dict[str, Any]:
        """Return what an output tells of its making: recipe, versions, seeds, state of the code."""
        return {
            "key": self.key,
            "config_key": self.config_key,
            "seeds": dict(_seeds(self.settings)),
            "versions": package_versions(),
            "code": code_state(),
            RECIPE: self.facts(),
        }


def plain_row(galaxy: Mapping[str, object]) -> dict[str, object]:
    """Return a catalogue row as JSON values: numbers that are not finite become None."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in galaxy.items()
    }


def outputs_read(stages: tuple[str, ...], keys: Keys) -> dict[str, str]:
    """Return the key of each output of some stages; those that a galaxy does not have are left out.

    Images go by ``image`` and their band.
    """
    found: dict[str, str] = {}
    for stage in stages:
        made = getattr(keys, stage)
        if isinstance(made, str):
            found |= {stage: made} if made else {}
        else:
            found |= {f"{stage} {band}": key for band, key in made.items()}
    return found


def _seeds(settings: Mapping[str, object], of: str = "") -> list[tuple[str, object]]:
    """Return all seeds among settings, by where they stand."""
    found: list[tuple[str, object]] = []
    for name, value in settings.items():
        if isinstance(value, Mapping):
            found += _seeds(value, f"{of}{name}.")
        elif name == "seed":
            found.append((f"{of}{name}", value))
    return found
