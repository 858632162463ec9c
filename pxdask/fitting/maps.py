"""The pipeline stage that turns the posteriors of bins into maps of pixels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import xarray as xr
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_area

from pxdask.core.cosmology import kpc_per_arcsec
from pxdask.core.errors import DataError
from pxdask.core.models import ModelConfig
from pxdask.core.schema import MAPS, Schema
from pxdask.fitting.stage import redshift_of
from pxdask.kernels.likelihood import usable_bands

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

PAINTED = ("log_mw_age", "logzsol", "av")
"""Parameters whose maps hold one value for all pixels of a bin."""

SHARING_SNR = 5.0
"""Signal-to-noise ratio of a bin in a band that may share it among its pixels: below it, as in a
band beyond the Lyman break, the shares would be those of noise."""

_DENSITY_UNITS = {"log_mass": "dex(Msun / kpc2)", "log_sfr": "dex(Msun / (yr kpc2))"}


@dataclass(frozen=True)
class MapStage:
    """Paint the posteriors of bins on their pixels.

    A bin's mass is shared among its pixels as their flux in the reddest band, its SFR as
    their flux in the bluest (Abdurro'uf et al. 2021, ApJS 254, 15), where bands count only if
    the bin's signal-to-noise ratio in them is `SHARING_SNR` or more and none of its pixels
    lacks a flux. A negative
    pixel flux counts as zero, and the shares of a bin add up to one, so that the pixels of a
    bin add up to its value; a pixel of share zero has no logarithm and is NaN. A bin without
    such a band is shared equally.

    Attributes
    ----------
    models : ModelConfig
        Gives the cosmology.
    """

    models: ModelConfig = field(default_factory=ModelConfig)
    name: ClassVar[str] = "maps"
    version: ClassVar[int] = 1
    inputs: ClassVar[tuple[str, ...]] = ("cube", "bins", "fit")
    output: ClassVar[Schema] = MAPS

    def settings(self) -> dict[str, object]:
        """Return the settings that the output depends on."""
        if self.models.cosmology == "flat_LCDM":
            return {"hubble": self.models.hubble, "omega_m": self.models.omega_m}
        return {"cosmology": self.models.cosmology}

    def run(
        self,
        galaxy: Mapping[str, object],
        *,
        cube: xr.Dataset,
        bins: xr.Dataset,
        fit: xr.Dataset,
    ) -> xr.Dataset:
        """Return the maps of one galaxy.

        Parameters
        ----------
        galaxy : mapping
            Catalogue row: ``redshift`` and, for messages, ``id``.
        cube, bins, fit : xarray.Dataset
            Schemas image/1 (with ``attrs['wcs']``), bins/1, fit/2 of all bins.

        Returns
        -------
        maps : xarray.Dataset
            Schema maps/1: ``log_mass``, ``log_sfr`` per pixel; their densities per projected
            physical area; ``log_mw_age``, ``logzsol``, ``av``, where fitted, of the pixel's
            bin. NaN outside the region and where the bin has no posterior. Attributes
            ``wcs``, ``kpc_per_pixel`` [kpc], ``redshift``.

        Raises
        ------
        DataError
            If the galaxy has no redshift, the cube no WCS, or the inputs do not belong
            together.
        """
        redshift = redshift_of(galaxy)
        galaxy_id = galaxy.get("id", "of unknown id")
        _check(galaxy_id, cube=cube, bins=bins, fit=fit)
        wcs = str(cube.attrs["wcs"])
        # The pixel of the celestial plane, square or not, as the side of a square.
        pixel = 3600 * float(np.sqrt(proj_plane_pixel_area(WCS(wcs).celestial)))
        kpc = pixel * kpc_per_arcsec(self.models, redshift=redshift)
        bin_map = bins["bin_map"].values
        maps = xr.Dataset(
            coords={"quantile": fit["quantile"].variable},
            attrs={"schema": MAPS.tag, "wcs": wcs, "kpc_per_pixel": kpc, "redshift": redshift},
        )
        for name, reddest in (("log_mass", True), ("log_sfr", False)):
            log_share = _log_shares(cube, bins, reddest=reddest)
            values = _painted(fit[name].values, bin_map) + log_share
            attrs = dict(fit[name].attrs)
            density = {
                "units": _DENSITY_UNITS[name],
                "long_name": f"{attrs['long_name']} per projected area",
            }
            maps[name] = _variable(values, attrs)
            maps[f"{name}_density"] = _variable(values - 2 * np.log10(kpc), density)
        for name in PAINTED:
            if name in fit:
                maps[name] = _variable(_painted(fit[name].values, bin_map), dict(fit[name].attrs))
        return MAPS.validate(maps)


def _check(galaxy_id: object, *, cube: xr.Dataset, bins: xr.Dataset, fit: xr.Dataset) -> None:
    """Raise `DataError` where the inputs are not of one galaxy or lack what maps need."""
    n_bin = int(bins["bin_map"].max()) + 1 if bins["bin_map"].size else 0
    faults = []
    if not n_bin == bins.sizes["bin"] == fit.sizes["bin"]:
        faults.append(
            f"the bin map has {n_bin} bins, bins {bins.sizes['bin']}, the fit {fit.sizes['bin']}"
        )
    if cube["flux"].shape[1:] != bins["bin_map"].shape:
        faults.append(f"cube {cube['flux'].shape[1:]}, bin map {bins['bin_map'].shape} pixels")
    if list(cube["band"].values) != list(bins["band"].values):
        faults.append(f"cube {list(cube['band'].values)}, bins {list(bins['band'].values)} bands")
    if "wcs" not in cube.attrs:
        faults.append("the cube has no attrs['wcs']")
    faults += [f"the fit has no {name}" for name in ("log_mass", "log_sfr") if name not in fit]
    if faults:
        raise DataError(f"galaxy {galaxy_id}: no maps can be made: {'; '.join(faults)}")


def _variable(values: Floats, attrs: Mapping[str, object]) -> xr.Variable:
    """Return a map as maps/1 stores it."""
    return xr.Variable(("quantile", "y", "x"), values.astype(np.float32), attrs)


def _painted(values: Floats, bin_map: NDArray[np.int32]) -> Floats:
    """Return each bin's values (n_bin, n_quantile) on its pixels, NaN on no bin's."""
    # The row added last is what -1, no bin, finds.
    rows = np.concatenate([values, np.full((1, values.shape[1]), np.nan)])
    return np.moveaxis(rows[bin_map], -1, 0)


def _log_shares(cube: xr.Dataset, bins: xr.Dataset, *, reddest: bool) -> Floats:
    """Return log10 of each pixel's share of its bin, (y, x); NaN where there is none."""
    bin_map = bins["bin_map"].values
    inside = np.nonzero(bin_map >= 0)
    members = bin_map[inside]
    flux = cube["flux"].values.astype(np.float64)[:, inside[0], inside[1]]
    n_bin = bins.sizes["bin"]
    lacking = [np.bincount(members[~np.isfinite(row)], minlength=n_bin) for row in flux]
    order = np.argsort(bins["pivot_wave"].values, kind="stable")
    if reddest:
        order = order[::-1]
    bin_flux, bin_err = bins["flux"].values, bins["flux_err"].values
    bright = usable_bands(bin_flux, bin_err) & (bin_flux >= SHARING_SNR * bin_err)
    usable = bright & (np.transpose(lacking) == 0)
    chosen = order[np.argmax(usable[:, order], axis=1)]
    chosen_flux = flux[chosen[members], np.arange(members.size)]
    light = np.where(np.asarray(usable.any(axis=1))[members], np.clip(chosen_flux, 0, None), 0.0)
    total = np.bincount(members, weights=light, minlength=n_bin)[members]
    equal = 1 / np.bincount(members, minlength=n_bin)[members]
    share = np.divide(light, total, out=equal, where=total > 0)
    log_shares = np.full(bin_map.shape, np.nan)
    log_shares[inside] = np.log10(share, out=np.full(share.shape, np.nan), where=share > 0)
    return log_shares
