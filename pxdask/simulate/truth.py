"""True maps of a mock galaxy, and what a matched cube should find of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
import xarray as xr
from astropy.wcs import WCS

from pxdask.core.errors import DataError
from pxdask.core.schema import Schema, Var
from pxdask.simulate.galaxy import structure
from pxdask.simulate.sampling import resample

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from pxdask.simulate.galaxy import MockGalaxy

    Array = NDArray[np.float64]

SIZE_PER_R_EFF = 12.0
"""Side of the truth's grid [effective radii]: a disc has 0.05 % of its light farther out."""

_BLOCK = 65536
"""Populations computed at once: bounds the memory that the spectra's engine needs."""

_MAP = ("y", "x")
TRUTH = Schema(
    "truth",
    1,
    {
        "mass_formed": Var(_MAP, "float64", "Msun", "mass of stars ever formed"),
        "mass": Var(_MAP, "float64", "Msun", "mass in living stars and remnants"),
        "sfr": Var(_MAP, "float64", "Msun yr-1", "star formation rate, mean of the last 100 Myr"),
        "log_age": Var(_MAP, "float64", "dex(Gyr)", "time since the start of star formation"),
        "log_tau": Var(_MAP, "float64", "dex(Gyr)", "e-folding time of star formation"),
        "logzsol": Var(_MAP, "float64", "dex", "metallicity in solar units"),
        "dust2": Var(_MAP, "float64", "", "optical depth of dust in the V band"),
        "log_mw_age": Var(_MAP, "float64", "dex(Gyr)", "mean age weighted by mass formed"),
        "av": Var(_MAP, "float64", "mag", "attenuation in the V band"),
        "band": Var(("band",), "str", "", "band identifier"),
        "flux": Var(("band", "y", "x"), "float32", "uJy", "flux density per pixel"),
    },
)
"""Fine maps of a mock; ``attrs['wcs']`` is their grid."""

TRUTH_GRID = Schema(
    "truth_grid",
    1,
    {
        name: TRUTH.variables[name]
        for name in ("mass_formed", "mass", "sfr", "logzsol", "log_mw_age", "av")
    },
)
"""Truth as a matched cube sees it; masses and rates per pixel, the rest mass-weighted."""

TRUTH_BINS = Schema(
    "truth_bins",
    1,
    {
        name: Var(("bin",), var.dtype, var.unit, var.long_name)
        for name, var in TRUTH_GRID.variables.items()
    },
)
"""Truth of spatial bins; masses and rates summed, the rest mass-weighted."""

_SUMS = ("mass_formed", "mass", "sfr")


class Engine(Protocol):
    """What the truth asks of stellar population models, such as `pxdask.sps.PhotometryEngine`."""

    def flux(self, parameters: Mapping[str, Array]) -> NDArray[np.float32]:
        """Return flux densities, (n, n_band) [uJy Msun-1 formed]."""
        ...

    def derived(self, parameters: Mapping[str, Array]) -> Mapping[str, Array]:
        """Return ``surviving``, ``sfr`` [yr-1], ``log_mw_age``, ``av`` [mag], each (n,)."""
        ...


def truth_maps(
    galaxy: MockGalaxy,
    *,
    engine: Engine,
    bands: Sequence[str],
    pixel_scale: float = 0.5,
    size: float | None = None,
) -> xr.Dataset:
    """Return the true maps of a mock galaxy and its light in each band, finely sampled.

    Parameters
    ----------
    galaxy : MockGalaxy
    engine : Engine
        Models at the galaxy's redshift, in the bands' filters.
    bands : sequence of str
        Names for the engine's filters, in its order.
    pixel_scale : float
        Side of a fine pixel [arcsec]; at most half the narrowest PSF.
    size : float, optional
        Side of the map [arcsec]; default: `SIZE_PER_R_EFF` effective radii.

    Returns
    -------
    truth : xarray.Dataset
        Of schema `TRUTH`, its central pixel centred on the galaxy; the maps' ``mass``
        adds up to the galaxy's ``log_mass``.

    Raises
    ------
    DataError
        If the engine gives another number of bands, or a flux that is not finite.
    """
    side = size if size is not None else SIZE_PER_R_EFF * galaxy.r_eff
    half = int(np.ceil(side / pixel_scale / 2))
    north, east = pixel_scale * (np.indices((2 * half + 1,) * 2) - half)
    east = -east  # right ascension grows to the left
    made = structure(galaxy, east=east, north=north, step=pixel_scale)
    names = ("log_age", "log_tau", "logzsol", "dust2")
    populations = {name: getattr(made, name).ravel() for name in names}
    derived = {
        name: np.asarray(value, dtype=np.float64).reshape(east.shape)
        for name, value in engine.derived(populations).items()
    }
    formed = made.weight * (
        10.0**galaxy.log_mass / np.sum(made.weight * derived["surviving"], dtype=np.float64)
    )
    flux = _flux(engine, populations) * formed.ravel()
    if flux.shape[0] != len(bands):
        raise DataError(f"the engine gives {flux.shape[0]} bands, not the {len(bands)} named")
    if not np.all(np.isfinite(flux)):
        raise DataError(f"galaxy {galaxy.id!r}: the models give fluxes that are not finite")
    maps = {
        "mass_formed": formed,
        "mass": formed * derived["surviving"],
        "sfr": formed * derived["sfr"],
        "log_mw_age": derived["log_mw_age"],
        "av": derived["av"],
        **{name: getattr(made, name) for name in names},
    }
    truth = xr.Dataset(
        {
            **{name: (_MAP, value, TRUTH.attrs(name)) for name, value in maps.items()},
            "flux": (
                ("band", "y", "x"),
                flux.reshape(-1, *east.shape).astype(np.float32),
                TRUTH.attrs("flux"),
            ),
        },
        coords={"band": ("band", np.array(bands, dtype=object), TRUTH.attrs("band"))},
        attrs={
            "schema": TRUTH.tag,
            "wcs": _header(galaxy, pixel_scale=pixel_scale, half=half),
            "galaxy": galaxy.id,
            "ra": galaxy.ra,
            "dec": galaxy.dec,
        },
    )
    return TRUTH.validate(truth)


def truth_on_grid(
    truth: xr.Dataset, *, wcs: str, shape: tuple[int, int], psf_fwhm: float
) -> xr.Dataset:
    """Return the truth as a cube of matched images sees it.

    Parameters
    ----------
    truth : xarray.Dataset
        Of schema `TRUTH`.
    wcs : str
        FITS header of the cube's grid: its ``attrs['wcs']``.
    shape : (int, int)
        Rows and columns of the cube.
    psf_fwhm : float
        Width of the cube's PSF [arcsec].

    Returns
    -------
    seen : xarray.Dataset
        Of schema `TRUTH_GRID`: masses and star formation rates per pixel add up to the
        truth's within the stamp; ages and metallicities are the logarithms of means
        weighted by mass formed, A_V is such a mean. NaN where there is no mass at all.
    """
    formed = truth["mass_formed"].to_numpy()
    light = np.stack([*(truth[name].to_numpy() for name in _SUMS), *_weighted(truth, formed)])
    planes = resample(
        light, source=WCS(truth.attrs["wcs"]), target=WCS(wcs), shape=shape, psf_fwhm=psf_fwhm
    )
    # a spline next to empty sky may swing below zero by a rounding error's worth
    planes[:3] = np.maximum(planes[:3], 0.0)
    seen = _means(planes)
    return TRUTH_GRID.validate(
        xr.Dataset(
            {name: (_MAP, value, TRUTH_GRID.attrs(name)) for name, value in seen.items()},
            attrs={**truth.attrs, "schema": TRUTH_GRID.tag, "wcs": wcs, "psf_fwhm": psf_fwhm},
        )
    )


def truth_of_bins(seen: xr.Dataset, *, bin_map: NDArray[np.int32]) -> xr.Dataset:
    """Return the truth of each spatial bin.

    Parameters
    ----------
    seen : xarray.Dataset
        Of schema `TRUTH_GRID`, on the bins' grid.
    bin_map : (ny, nx) int32
        Bin of each pixel, -1 where none.

    Returns
    -------
    bins : xarray.Dataset
        Of schema `TRUTH_BINS`, in order of bin.
    """
    if bin_map.shape != seen["mass"].shape:
        raise DataError(f"the bin map is {bin_map.shape}, the truth {seen['mass'].shape}")
    inside = (bin_map >= 0) & np.isfinite(seen["log_mw_age"].to_numpy())
    formed = seen["mass_formed"].to_numpy()
    planes = [*(seen[name].to_numpy() for name in _SUMS), *_weighted(seen, formed)]
    n_bin = int(bin_map.max(initial=-1)) + 1
    sums = np.stack(
        [
            np.bincount(bin_map[inside], plane[inside], minlength=n_bin).astype(np.float64)
            for plane in planes
        ]
    )
    return TRUTH_BINS.validate(
        xr.Dataset(
            {
                name: (("bin",), value, TRUTH_BINS.attrs(name))
                for name, value in _means(sums).items()
            },
            attrs={**seen.attrs, "schema": TRUTH_BINS.tag},
        )
    )


def _weighted(maps: xr.Dataset, formed: Array) -> list[Array]:
    """Return metallicity, age and A_V times the mass formed."""
    return [
        formed * 10.0 ** maps["logzsol"].to_numpy(),
        formed * 10.0 ** maps["log_mw_age"].to_numpy(),
        formed * maps["av"].to_numpy(),
    ]


def _means(planes: Array) -> dict[str, Array]:
    """Return named maps from sums of mass formed, mass, SFR and the three of `_weighted`."""
    formed, mass, sfr, metals, ages, dust = planes
    some = formed > formed.max(initial=0.0) * 1e-12
    weight = np.where(some, formed, np.nan)
    return {
        "mass_formed": formed,
        "mass": mass,
        "sfr": sfr,
        "logzsol": np.log10(np.where(some, metals, np.nan) / weight),
        "log_mw_age": np.log10(np.where(some, ages, np.nan) / weight),
        "av": dust / weight,
    }


def _flux(engine: Engine, populations: Mapping[str, Array]) -> Array:
    """Return the flux density per mass formed, (n_band, n) [uJy Msun-1], block by block."""
    n = len(populations["log_age"])
    blocks = [
        engine.flux({name: value[i : i + _BLOCK] for name, value in populations.items()})
        for i in range(0, n, _BLOCK)
    ]
    return np.concatenate(blocks).astype(np.float64).T


def _header(galaxy: MockGalaxy, *, pixel_scale: float, half: int) -> str:
    """Return the header of a fine grid, north up, centred on the galaxy."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [galaxy.ra, galaxy.dec]
    wcs.wcs.crpix = [half + 1.0, half + 1.0]
    wcs.wcs.cdelt = [-pixel_scale / 3600.0, pixel_scale / 3600.0]
    wcs.wcs.radesys = "ICRS"
    return str(wcs.to_header_string())
