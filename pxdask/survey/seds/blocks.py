"""The work on a catalogue of photometry as plain values: blocks of rows, and their keys."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pxdask.core.provenance import content_key
from pxdask.fitting.stage import deciding_settings
from pxdask.survey.products import shared_ends

if TYPE_CHECKING:
    from collections.abc import Iterator

    import xarray as xr
    from numpy.typing import NDArray

    from pxdask.core.catalogs import CatalogConfig

VERSION = 1
"""Raised whenever the same rows give other posteriors."""

_DECIDING = ("redshift", "flux", "flux_err", "upper_limit")


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of a catalogue that one task fits.

    Attributes
    ----------
    number : int
        Of the block.
    rows : tuple of int
        Of the catalogue.
    """

    number: int
    rows: tuple[int, ...]


def plan_blocks(seds: xr.Dataset, config: CatalogConfig) -> Iterator[Block]:
    """Yield blocks that together have every row once.

    Rows are in order of redshift, so that a block needs few sets of models; where models are
    shared between redshifts, no block reaches across: each set is made by one worker, or by as
    many as an interval of redshift has blocks.

    Parameters
    ----------
    seds : Dataset
        Schema seds/1.
    config : CatalogConfig
        Gives the number of rows of a block at most, and the sharing of models.
    """
    redshift = seds["redshift"].values
    order = np.argsort(redshift, kind="stable")
    groups = _groups(redshift[order], config)
    number = 0
    for start, stop in groups:
        for first in range(start, stop, config.block_size):
            rows = order[first : min(first + config.block_size, stop)]
            yield Block(number, tuple(int(row) for row in rows))
            number += 1


def block_key(
    seds: xr.Dataset, block: Block, config: CatalogConfig, products: tuple[str, ...]
) -> str:
    """Return a key equal exactly when the block's posteriors are.

    Parameters
    ----------
    seds, config
        As of `plan_blocks`.
    block : Block
        Its rows.
    products : tuple of str
        Content keys of populations, filters and stored models.
    """
    some = seds.isel(bin=list(block.rows))
    digest = hashlib.blake2b(digest_size=16)
    digest.update("\x1f".join(str(name) for name in some["id"].values).encode())
    for name in _DECIDING:
        digest.update(np.ascontiguousarray(some[name].values).tobytes())
    return content_key([VERSION, deciding(config, products), digest.hexdigest()])


def deciding(config: CatalogConfig, products: tuple[str, ...]) -> dict[str, Any]:
    """Return the settings that posteriors depend on, as JSON values; parameters as of `block_key`.

    Names of columns are not among them: what was in them is.
    """
    return {
        "fit": deciding_settings(config.fit),
        "models": config.models.model_dump(mode="json", exclude={"stored"}),
        "seed": config.seed,
        "bands": {band.name: band.filter for band in config.bands},
        "band_order": [band.name for band in config.bands],
        "products": list(products),
    }


def _groups(redshift: NDArray[np.float64], config: CatalogConfig) -> list[tuple[int, int]]:
    """Return where rows, sorted by redshift, share models: first, and one after the last."""
    n_sed = redshift.size
    if config.models.redshift_step is None or config.models.stored is not None:
        return [(0, n_sed)]
    ends = [shared_ends(config.models, float(z)) for z in redshift]
    cuts = [i for i in range(1, n_sed) if ends[i] != ends[i - 1]]
    return list(zip([0, *cuts], [*cuts, n_sed], strict=True))
