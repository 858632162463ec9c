"""What a stage is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import xarray as xr

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
    "products": ("cube", "bins", "fit", "maps"),
}
"""The stages whose outputs each stage reads; ``ifs``, ``spectra`` and ``lines``
only where there are spectra, ``integrated`` and ``morphology`` only where the settings want it.
``morphology`` may read the bands' own images too."""

HARMLESS = ("integrated", "lines", "morphology")
"""Stages whose failure keeps nothing else from being made."""


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
