"""The pipeline stage that turns the posteriors of bins into maps of pixels."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import xarray as xr
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_area

from pxdask.core.cosmology import kpc_per_arcsec
from pxdask.core.errors import DataError
from pxdask.core.fits import MapConfig
from pxdask.core.models import ModelConfig
from pxdask.core.rows import redshift_of
from pxdask.core.schema import MAPS, Schema
from pxdask.kernels.likelihood import usable_bands
from pxdask.kernels.painting import painted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

logger = logging.getLogger(__name__)

SHARING_SNR = 5.0
"""Signal-to-noise ratio of a bin in a band that may share it among its pixels: below it, as in a
band beyond the Lyman break, the shares would be those of noise."""


@dataclass(frozen=True)
class _Shared:
    """How a bin's value is shared: as which light, and the unit of its surface density."""

    light: Literal["mass", "sfr"]
    density: str


_SHARED = {
    "dex(Msun)": _Shared("mass", "dex(Msun / kpc2)"),
    "dex(Lsun)": _Shared("mass", "dex(Lsun / kpc2)"),
    "dex(Msun / yr)": _Shared("sfr", "dex(Msun / (yr kpc2))"),
}
"""Results that grow with the size of a bin, by their unit; all others are painted."""


@dataclass(frozen=True)
class MapStage:
    """Turn the posteriors of bins into maps of their pixels.

    Masses and luminosities of a bin are shared among its pixels as their flux in the reddest
    band, star formation rates as their flux in the bluest (Abdurro'uf et al. 2021, ApJS 254,
    15), or in bands that the settings name. A band counts only if the bin's signal-to-noise
    ratio in it is `SHARING_SNR` or more and none of its pixels lacks a flux; otherwise the next
    one by wavelength is taken, from the reddest down, from the bluest up. A negative pixel flux
    counts as zero, and the shares of a bin add up to one, so that the pixels of a bin add up to
    its value; a pixel of share zero has no logarithm and is NaN. A bin without such a band is
    shared equally. All other results hold one value for all pixels of a bin.

    Surface densities are per projected area; by choice, they are multiplied by the cosine of the
    inclination and so per area of the disc.

    Attributes
    ----------
    models : ModelConfig
        Gives the cosmology.
    config : MapConfig
        Bands that share, inclination.
    """

    models: ModelConfig = field(default_factory=ModelConfig)
    config: MapConfig = field(default_factory=MapConfig)
    name: ClassVar[str] = "maps"
    version: ClassVar[int] = 2
    inputs: ClassVar[tuple[str, ...]] = ("cube", "bins", "fit")
    output: ClassVar[Schema] = MAPS

    def settings(self) -> dict[str, object]:
        """Return the settings that the output depends on."""
        unused = set() if self.config.inclination else {"axis_ratio", "thickness"}
        maps = self.config.model_dump(mode="json", exclude=unused)
        if self.models.cosmology == "flat_LCDM":
            return {**maps, "hubble": self.models.hubble, "omega_m": self.models.omega_m}
        return {**maps, "cosmology": self.models.cosmology}

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
            Catalogue row: ``redshift``; for messages, ``id``; the column of the axis ratio where
            the settings ask for it.
        cube, bins, fit : xarray.Dataset
            Schemas image/1 (with ``attrs['wcs']``), bins/1, fit/2 of all bins.

        Returns
        -------
        maps : xarray.Dataset
            Schema maps/1: every result of the fit, and for those that are shared
            ``<name>_density``, per physical area. NaN outside the region and where the bin has
            no posterior; densities of a disc seen edge-on are NaN where they are corrected.
            Attributes ``wcs``, ``kpc_per_pixel`` [kpc], ``redshift``, and ``cos_inclination``
            where used.

        Raises
        ------
        DataError
            If the galaxy has no redshift or axis ratio, the cube no WCS or not a band that the
            settings name, or the inputs do not belong together.
        """
        redshift = redshift_of(galaxy)
        galaxy_id = galaxy.get("id", "of unknown id")
        _check(galaxy_id, self.config, cube=cube, bins=bins, fit=fit)
        wcs = str(cube.attrs["wcs"])
        # The pixel of the celestial plane, square or not, as the side of a square.
        pixel = 3600 * float(np.sqrt(proj_plane_pixel_area(WCS(wcs).celestial)))
        kpc = pixel * kpc_per_arcsec(self.models, redshift=redshift)
        attrs = {"schema": MAPS.tag, "wcs": wcs, "kpc_per_pixel": kpc, "redshift": redshift}
        area, log_area = "projected area", 2 * math.log10(kpc)
        if self.config.inclination:
            cosine = _cosine_of(galaxy, self.config)
            attrs["cos_inclination"] = cosine
            area = "area of the disc"
            log_area -= math.log10(cosine) if cosine > 0 else math.nan
        maps = xr.Dataset(coords={"quantile": fit["quantile"].variable}, attrs=attrs)
        log_shares = {
            "mass": log_pixel_shares(cube, bins, band=self.config.mass_band, reddest=True),
            "sfr": log_pixel_shares(cube, bins, band=self.config.sfr_band, reddest=False),
        }
        bin_map = bins["bin_map"].values
        for name in (str(key) for key in fit.data_vars if fit[key].dims == ("bin", "quantile")):
            own, values = dict(fit[name].attrs), fit[name].values.T
            shared = _SHARED.get(own["units"])
            if shared is None:
                maps[name] = _variable(painted(values.astype(np.float32), bin_map), own)
                continue
            pixels = painted(values, bin_map) + log_shares[shared.light]
            meaning = f"{own.get('long_name', name)} per {area}"
            density = {"units": shared.density, "long_name": meaning}
            maps[name] = _variable(pixels, own)
            maps[f"{name}_density"] = _variable(pixels - log_area, density)
        return MAPS.validate(maps)


def cos_inclination(axis_ratio: float, *, thickness: float) -> float:
    """Return the cosine of the inclination of a disc.

    Parameters
    ----------
    axis_ratio : float
        Minor over major axis as seen, above 0 and at most 1 [1].
    thickness : float
        Axis ratio of such a disc seen edge-on, from 0 and below 1 [1].

    Returns
    -------
    cosine : float
        1 where the disc is seen face-on, 0 where its axis ratio is ``thickness`` or less.

    Notes
    -----
    Of an oblate spheroid, ``cos^2 i = (q^2 - q0^2) / (1 - q0^2)`` (Hubble 1926, ApJ 64, 321).
    """
    square = (axis_ratio**2 - thickness**2) / (1 - thickness**2)
    return math.sqrt(max(square, 0.0))


def _cosine_of(galaxy: Mapping[str, object], config: MapConfig) -> float:
    """Return the cosine of a galaxy's inclination; a warning is logged where it is zero."""
    galaxy_id, given = galaxy.get("id", "of unknown id"), config.axis_ratio
    value = galaxy.get(given) if isinstance(given, str) else given
    try:
        ratio = float(str(value))
    except ValueError:
        ratio = math.nan
    if not 0 < ratio <= 1:
        raise DataError(
            f"galaxy {galaxy_id}: {given} is {value!r}; wanted the disc's minor over major axis,"
            " above 0 and at most 1: correct the catalogue's column, or set maps.axis_ratio to a"
            " number, or maps.inclination to false"
        )
    cosine = cos_inclination(ratio, thickness=config.thickness)
    if cosine == 0:
        logger.warning(
            "galaxy %s: axis ratio %g is not above maps.thickness %g: the disc is seen edge-on, it"
            " has no face-on surface density, and these maps are NaN",
            galaxy_id,
            ratio,
            config.thickness,
        )
    return cosine


def _check(
    galaxy_id: object,
    config: MapConfig,
    *,
    cube: xr.Dataset,
    bins: xr.Dataset,
    fit: xr.Dataset,
) -> None:
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
    faults += [
        f"{where} names band {name!r}, the cube has {list(cube['band'].values)}"
        for where, name in (("mass_band", config.mass_band), ("sfr_band", config.sfr_band))
        if name is not None and name not in cube["band"].values
    ]
    faults += [f"the fit has no {name}" for name in ("log_mass", "log_sfr") if name not in fit]
    if faults:
        raise DataError(f"galaxy {galaxy_id}: no maps can be made: {'; '.join(faults)}")


def _variable(values: Floats, attrs: Mapping[str, object]) -> xr.Variable:
    """Return a map as maps/1 stores it."""
    return xr.Variable(("quantile", "y", "x"), values.astype(np.float32), attrs)


def log_pixel_shares(
    cube: xr.Dataset, bins: xr.Dataset, *, band: str | None, reddest: bool
) -> Floats:
    """Return log10 of each pixel's share of its bin; see `MapStage` for the rules.

    Parameters
    ----------
    cube, bins : xarray.Dataset
        Schemas image/1 and bins/1, of the same bands and pixels.
    band : str or None
        Band that goes before all others.
    reddest : bool
        Whether the others are tried from the reddest down, or from the bluest up.

    Returns
    -------
    log_shares : (y, x) float64
        NaN in no bin, and where the share is zero. The shares of a bin add up to one.
    """
    bin_map = bins["bin_map"].values
    inside = np.nonzero(bin_map >= 0)
    members = bin_map[inside]
    chosen, usable = _chosen_bands(cube, bins, members, inside, band=band, reddest=reddest)
    light = cube["flux"].values[chosen[members], *inside].astype(np.float64)
    light = np.where(usable[members], np.clip(light, 0, None), 0.0)
    n_bin = bins.sizes["bin"]
    total = np.bincount(members, weights=light, minlength=n_bin)[members]
    equal = 1 / np.bincount(members, minlength=n_bin)[members]
    share = np.divide(light, total, out=equal, where=total > 0)
    log_shares = np.full(bin_map.shape, np.nan)
    log_shares[inside] = np.log10(share, out=np.full(share.shape, np.nan), where=share > 0)
    return log_shares


def _chosen_bands(
    cube: xr.Dataset,
    bins: xr.Dataset,
    members: NDArray[np.int32],
    inside: tuple[NDArray[np.intp], ...],
    *,
    band: str | None,
    reddest: bool,
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return the band that shares each bin, and whether there is one."""
    flux, flux_err = bins["flux"].values, bins["flux_err"].values
    usable = usable_bands(flux, flux_err) & (flux >= SHARING_SNR * flux_err)
    for k, image in enumerate(cube["flux"].values):
        usable[members[~np.isfinite(image[inside])], k] = False
    order = np.argsort(bins["pivot_wave"].values, kind="stable")
    if reddest:
        order = order[::-1]
    if band is not None:
        first = list(bins["band"].values).index(band)
        order = np.concatenate([[first], order[order != first]])
    return order[np.argmax(usable[:, order], axis=1)], np.any(usable, axis=1)
