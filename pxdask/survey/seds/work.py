"""What a worker does for a catalogue of photometry: fit one block; a failure is a record."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from pxdask.core.errors import PxdaskError
from pxdask.core.provenance import code_state, content_key, package_versions
from pxdask.io.stores import is_published, publish
from pxdask.survey.manifest import Record
from pxdask.survey.memory import SMALL, fit_memory, within_memory
from pxdask.survey.products import Products, model_library
from pxdask.survey.seds.blocks import VERSION, deciding
from pxdask.survey.seds.fit import fit_rows, warn
from pxdask.survey.threads import one_thread
from pxdask.survey.work import Start, attempt, is_permanent, measured

if TYPE_CHECKING:
    from pathlib import Path

    import xarray as xr

    from pxdask.core.catalogs import CatalogConfig
    from pxdask.sps.libraries import ModelLibrary

BLOCKS = "blocks"
"""Folder of the files of blocks."""


@dataclass(frozen=True, slots=True)
class CatalogContext:
    """What every task of a run needs to know."""

    folder: Path
    config: CatalogConfig
    products: Products

    def model_library(self, redshift: float | None) -> ModelLibrary:
        """Return the models of a redshift."""
        return model_library(
            self.products,
            self.config.models,
            {band.name: band.filter for band in self.config.bands},
            # without effect where redshift is free
            redshift=1.0 if redshift is None else redshift,
            seed=self.config.seed,
        )


def block_path(folder: Path, key: str) -> Path:
    """Return the file of a block of a run."""
    return folder / BLOCKS / key[:2] / f"fit-{key}.zarr.zip"


def run_block(some: xr.Dataset, name: str, key: str, context: CatalogContext) -> list[Record]:
    """Fit a block of SEDs and publish its posteriors.

    Parameters
    ----------
    some : Dataset
        Schema seds/1: the block's rows.
    name, key : str
        Of the block.
    context : CatalogContext
        The run.

    Returns
    -------
    records : list of Record
        That of the block, then one for each SED that cannot be fitted.
    """
    start = Start.now()
    record = Record(name, "fit", "", key, "done")
    reasons: dict[int, str] = {}
    try:
        if is_published(block_path(context.folder, key)):
            return [replace(record, outcome="existed")]
        need = SMALL + fit_memory(
            context.config.fit,
            n_model=context.config.models.n_models,
            n_band=len(context.config.bands),
        )
        with within_memory(need, f"the fit of {name}"), one_thread():
            start = Start.now()
            reasons = attempt(partial(_fit_block, some, key, context))
        if len(reasons) == some.sizes["bin"]:
            why = f"none of its {len(reasons)} SEDs can be fitted"
            record = replace(record, outcome="failed", error=why, permanent=True)
    except PxdaskError as error:
        permanent = is_permanent(error)
        record = replace(record, outcome="failed", error=str(error), permanent=permanent)
    names = some["id"].values
    failed = [
        Record(str(names[row]), "sed", "", key, "failed", error=reason, permanent=True)
        for row, reason in reasons.items()
    ]
    return [measured(record, start), *failed]


def _fit_block(some: xr.Dataset, key: str, context: CatalogContext) -> dict[int, str]:
    """Publish the fit of a block; return why some rows have none."""
    found = fit_rows(
        some,
        context.model_library,
        settings=context.config.fit,
        free_redshift="redshift" in context.config.models.priors,
    )
    if found.parts:
        fitted = found.joined(some.sizes["bin"])
        warn(some, fitted, found.reasons)
        publish(
            fitted.assign_attrs(_provenance(key, context)),
            block_path(context.folder, key),
        )
    return found.reasons


def _provenance(key: str, context: CatalogContext) -> dict[str, Any]:
    """Return what a block tells of its making; nothing of when or where."""
    settings = deciding(context.config, context.products.fit_key)
    return {
        "key": key,
        "config_key": content_key(settings),
        "seeds": {"seed": context.config.seed},
        "versions": package_versions(),
        "code": code_state(),
        "recipe": {"version": VERSION, "settings": settings},
    }
