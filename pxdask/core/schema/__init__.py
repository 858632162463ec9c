"""Declared shapes, units and dtypes of every Dataset that crosses a stage boundary.

The declarations are data: `Schema.problems` compares a Dataset with one of them, and the
documentation of the data model is the table they form.
"""

from __future__ import annotations

from pxdask.core.schema.fits import FIT, LINE_MAPS, LINES, MAPS, NETWORK
from pxdask.core.schema.form import Schema, Var
from pxdask.core.schema.images import CUBE, IFS, IMAGE, PHOTOMETRY, PROFILE, RAW
from pxdask.core.schema.morphology import MORPHOLOGY, RADIAL, STAMP
from pxdask.core.schema.populations import FILTERS, MODEL_GRID, MODELS, SPECTRA, SSP
from pxdask.core.schema.seds import BINS, SEDS
from pxdask.core.schema.shared import QUANTILES

SCHEMAS = {
    schema.tag: schema
    for schema in (
        RAW,
        IMAGE,
        BINS,
        IFS,
        CUBE,
        SEDS,
        SSP,
        FILTERS,
        MODELS,
        MODEL_GRID,
        SPECTRA,
        FIT,
        MAPS,
        PHOTOMETRY,
        PROFILE,
        LINES,
        LINE_MAPS,
        NETWORK,
        STAMP,
        MORPHOLOGY,
        RADIAL,
    )
}
"""Every schema by its tag."""

__all__ = [
    "BINS",
    "CUBE",
    "FILTERS",
    "FIT",
    "IFS",
    "IMAGE",
    "LINES",
    "LINE_MAPS",
    "MAPS",
    "MODELS",
    "MODEL_GRID",
    "MORPHOLOGY",
    "NETWORK",
    "PHOTOMETRY",
    "PROFILE",
    "QUANTILES",
    "RADIAL",
    "RAW",
    "SCHEMAS",
    "SEDS",
    "SPECTRA",
    "SSP",
    "STAMP",
    "Schema",
    "Var",
]
