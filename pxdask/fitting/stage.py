"""The pipeline stage that fits a block of bins, and the joining of blocks."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import xarray as xr

from pxdask.core.errors import ConfigError, DataError
from pxdask.core.flags import Flag
from pxdask.core.rows import redshift_of
from pxdask.core.schema import FIT, Schema
from pxdask.fitting.mcmc import McmcFitter
from pxdask.fitting.nested import NestedFitter
from pxdask.fitting.npe import NpeFitter
from pxdask.fitting.npe_redshift import with_shared_redshift
from pxdask.fitting.seds import Seds
from pxdask.fitting.spectral import SpectralRdsps

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pxdask.core.fits import FitConfig
    from pxdask.fitting.fitter import Fitter, Prepared
    from pxdask.sps.libraries import ModelLibrary

logger = logging.getLogger(__name__)

_NPE_VERSION = 2
"""Of what a network's fits tell, and how: another makes them anew, and none of other methods."""


@dataclass(frozen=True)
class FitStage:
    """Fit the bins ``[start, stop)`` of a galaxy.

    A bin's result does not depend, to the last bit, on the block it is in.

    Attributes
    ----------
    config : FitConfig
        Settings of the fit.
    model_library : callable
        Gives the models of a redshift, with the cube's bands in the cube's order.
    model_settings : mapping
        JSON values that decide what ``model_library`` gives.
    start, stop : int
        First bin, and the one after the last; bins past the galaxy's last are passed over.
    """

    config: FitConfig
    model_library: Callable[[float], ModelLibrary]
    model_settings: Mapping[str, object]
    start: int
    stop: int
    name: ClassVar[str] = "fit"
    version: ClassVar[int] = 3
    inputs: ClassVar[tuple[str, ...]] = ("bins",)
    output: ClassVar[Schema] = FIT

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.stop:
            raise ConfigError(f"bins [{self.start}, {self.stop}); wanted 0 <= start <= stop")

    def settings(self) -> dict[str, object]:
        """Return the settings a bin's result depends on, which the block is not."""
        fit = deciding_settings(self.config)
        return {**fit, "models": dict(self.model_settings)}

    def run(self, galaxy: Mapping[str, object], *, bins: xr.Dataset) -> xr.Dataset:
        """Return the posteriors of the block's bins.

        Parameters
        ----------
        galaxy : mapping
            Catalogue row: ``redshift`` and, for messages, ``id``.
        bins : xarray.Dataset
            Schema bins/1.

        Returns
        -------
        fit : xarray.Dataset
            Schema fit/2, with ``attrs['bin_start']`` and ``attrs['bin_stop']``.

        Raises
        ------
        DataError
            If the galaxy has no redshift, or a model is not finite.
        ConfigError
            If the models' bands are not those of the bins.
        """
        galaxy_id = galaxy.get("id", "of unknown id")
        library = self.model_library(redshift_of(galaxy))
        require_same_bands(bins, library, galaxy_id=str(galaxy_id))
        seds = _seds(bins, str(galaxy_id)).rows(self.start, self.stop)
        fit = prepared(self.config, library).fit(seds)
        stop = self.start + fit.sizes["bin"]
        logger.info("galaxy %s: fitted bins [%d, %d)", galaxy_id, self.start, stop)
        return fit.assign_attrs(bin_start=self.start, bin_stop=stop)


def require_same_bands(bins: xr.Dataset, library: ModelLibrary, *, galaxy_id: str) -> None:
    """Check that models are of the bands of bins.

    Raises
    ------
    ConfigError
        If their names or their order differ.
    """
    wanted = [str(name) for name in bins["band"].values]
    if wanted != list(library.bands):
        raise ConfigError(
            f"galaxy {galaxy_id}: the models have bands {list(library.bands)}, the bins "
            f"{wanted}; wanted the same bands in the same order"
        )


def deciding_settings(settings: FitConfig) -> dict[str, object]:
    """Return the settings that a posterior depends on, as JSON values.

    Paths are not among them: the content key of the network that a path leads to has to be.
    Nor is that chains are not kept, so that posteriors from before this could be asked stay.
    """
    left_out: dict[str, bool | set[str]] = dict.fromkeys(
        ("block_size", "max_memory", "integrated"), True
    )
    left_out["mcmc"] = set() if settings.mcmc.keep_chains else {"keep_chains"}
    found = settings.model_dump(mode="json", exclude={**left_out, "npe": {"network", "noise"}})
    return {**found, "npe_version": _NPE_VERSION} if settings.method == "npe" else found


def fitter_of(settings: FitConfig) -> Fitter:
    """Return the fitter that the settings name."""
    fitters: dict[str, Callable[[FitConfig], Fitter]] = {
        "rdsps": SpectralRdsps,
        "mcmc": McmcFitter,
        "nested": NestedFitter,
        "npe": NpeFitter,
    }
    return fitters[settings.method](settings)


@lru_cache(maxsize=1)
def prepared(settings: FitConfig, library: ModelLibrary) -> Prepared:
    """Return models made ready, once for all blocks of a galaxy that a process fits.

    To sort a library takes as long as to fit a block of bins with it.
    """
    return fitter_of(settings).prepare(library)


def _seds(bins: xr.Dataset, galaxy_id: str) -> Seds:
    """Return the SEDs of all bins of a galaxy, with their spectra where they have any."""
    spectral = {
        name: bins[name].values
        for name in ("wave", "lsf_fwhm", "spectrum", "spectrum_err")
        if name in bins and "spectrum" in bins
    }
    return Seds(
        flux=bins["flux"].values,
        flux_err=bins["flux_err"].values,
        keys=tuple((galaxy_id, "fit", i) for i in range(bins.sizes["bin"])),
        upper_limit=(bins["flags"].values & int(Flag.UPPER_LIMIT)) != 0,
        **spectral,
    )


def join_blocks(blocks: Sequence[xr.Dataset]) -> xr.Dataset:
    """Return one fit of all bins from the fits of its blocks.

    Parameters
    ----------
    blocks : sequence of xarray.Dataset
        Schema fit/2, from `FitStage`, in the order of their bins.

    Returns
    -------
    fit : xarray.Dataset
        Schema fit/2: of each bin the same, to the last bit, as in its block. Where a network
        fitted them, all bins may have the flag ODD_REDSHIFT besides; see
        `pxdask.fitting.npe_redshift.with_shared_redshift`.

    Raises
    ------
    DataError
        If there is no block, a block does not start where the one before stops, or blocks
        differ in their bands, parameters or fit.
    """
    if not blocks:
        raise DataError("no block of bins to join; wanted at least one")
    for block in blocks:
        FIT.validate(block)
    first, last = blocks[0], blocks[-1]
    for i, (block, after) in enumerate(pairwise(blocks)):
        stop, start = block.attrs.get("bin_stop"), after.attrs.get("bin_start")
        if stop is None or stop != start:
            raise DataError(
                f"block {i} of the fit stops before bin {stop}, block {i + 1} starts at "
                f"{start}; wanted consecutive blocks"
            )
        if differences := _differences(first, after):
            raise DataError(f"blocks 0 and {i + 1} of the fit differ in {differences}")
    joined = xr.Dataset(coords=first.coords, attrs=first.attrs)
    for name, array in first.data_vars.items():
        values = np.concatenate([block[name].values for block in blocks])
        joined[name] = xr.Variable(array.dims, values, array.attrs)
    joined = with_shared_redshift(joined.assign_attrs(bin_stop=last.attrs["bin_stop"]))
    return FIT.validate(joined)


def _differences(a: xr.Dataset, b: xr.Dataset) -> list[str]:
    """Return what two blocks of one fit may not differ in, but do."""
    place = {"bin_start", "bin_stop"}
    found = sorted(str(name) for name in set(a.variables) ^ set(b.variables))
    found += [str(name) for name in a.coords if name in b.coords and not a[name].equals(b[name])]
    return found + [
        f"attrs[{key!r}]"
        for key in sorted(set(a.attrs) | set(b.attrs))
        if key not in place and a.attrs.get(key) != b.attrs.get(key)
    ]
