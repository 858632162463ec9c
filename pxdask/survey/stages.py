"""What a stage is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import xarray as xr

    from pxdask.core.config import SurveyConfig
    from pxdask.core.schema import Schema

STAGES = (
    "image",
    "cube",
    "ifs",
    "spectra",
    "bins",
    "fit",
    "integrated",
    "lines",
    "morphology",
    "maps",
    "radial",
    "products",
)
"""The stages in the order in which data flow through them."""

READS = {
    "image": (),
    "cube": ("image",),
    "ifs": (),
    "spectra": ("cube", "ifs"),
    "bins": ("cube", "spectra"),
    "fit": ("bins",),
    "integrated": ("bins",),
    "lines": ("bins", "fit"),
    "morphology": ("cube",),
    "maps": ("cube", "bins", "fit"),
    "radial": ("cube", "bins", "fit", "maps", "morphology"),
    "products": ("cube", "bins", "fit", "maps"),
}
"""The stages whose outputs each stage reads; ``ifs``, ``spectra`` and ``lines``
only where there are spectra, ``integrated``, ``morphology`` and ``radial`` only where the settings
want it. ``morphology`` may read the bands' own images too; ``radial`` is made without it where it
failed."""

HARMLESS = ("integrated", "lines", "morphology", "radial")
"""Stages whose failure keeps nothing else from being made: what reads them does without."""


def stages_of(config: SurveyConfig) -> tuple[str, ...]:
    """Return the stages that settings ask for, of a galaxy that has all they name."""
    wanted = {
        "ifs": config.ifs is not None,
        "spectra": config.ifs is not None,
        "integrated": config.fit.integrated,
        "lines": config.ifs is not None and "redshift" not in config.models.priors,
        "morphology": config.morphology is not None,
        "radial": config.radial is not None,
    }
    return tuple(stage for stage in STAGES if wanted.get(stage, True))


class Stage(Protocol):
    """One step of the work on one galaxy: datasets in, dataset out, no files."""

    @property
    def name(self) -> str:
        """Name of the stage and of its output file."""
        ...

    @property
    def version(self) -> int:
        """Raised whenever the same input gives a different output."""
        ...

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the datasets that `run` reads."""
        ...

    @property
    def output(self) -> Schema:
        """Form of the dataset that `run` returns."""
        ...

    def settings(self) -> Mapping[str, object]:
        """Return the configuration that the output depends on, as JSON values."""
        ...

    @property
    def run(self) -> Callable[..., xr.Dataset]:
        """Called with a catalogue row and the inputs by name, returns the output dataset.

        It raises `DataError` if the galaxy cannot be processed; that is recorded and not
        retried.
        """
        ...
