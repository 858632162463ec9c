"""Slices of an integral-field cube: its dust, lines, PSF and pixels made those of the images."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import xarray as xr
from astropy.wcs.utils import pixel_to_skycoord

from pxdask.core.errors import DataError
from pxdask.core.flags import Flag, flag_attrs
from pxdask.core.schema import CUBE, Schema
from pxdask.ifs.sharing import SliceMap, sharing_of
from pxdask.ifs.smoothing import Slices, smoothed
from pxdask.images.extinction import catalogue_ebv, extinction_factor
from pxdask.images.grid import Grid
from pxdask.images.noise import FULL_COVERAGE
from pxdask.images.psf import WIDTH_TOLERANCE, Psf, matching_kernel
from pxdask.images.units import pixel_flags

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from pxdask.core.ifs import IfsConfig
    from pxdask.ifs.sharing import Sharing

    Floats = NDArray[np.float64]

logger = logging.getLogger(__name__)

WIDTH_STEP = 0.01
"""Ratio of PSF widths, less 1, that share a kernel: each is then right to half of it. Groups are
of the width alone, so that no chunk of wavelengths sees another kernel than the whole cube."""

_MOSTLY = 0.5
"""Part of a pixel that masked spaxels fill where it is MASKED, if it has no flux."""

_BAD = int(Flag.NO_DATA | Flag.NO_ERROR | Flag.MASKED)


@dataclass(frozen=True)
class IfsStage:
    """A chunk of wavelengths, brought to the images' grid and PSF.

    The order is: the Milky Way's dust, widths of lines (if asked), PSF, pixels. One slice is
    worked on at a time, so that a chunk of any size gives the same bytes and memory is that of the
    chunk. A cube whose PSF is wider than the target's stays as wide as it is, which is logged:
    images are never sharpened, so their target should be chosen at least as wide.

    Attributes
    ----------
    config : IfsConfig
        Settings of the cube; its path and chunk are not used.
    grid : Grid
        The images' grid.
    target : Psf or None
        What images are matched to; None for no matching.
    law : str
        Law of extinction, of `pxdask.images.extinction.LAWS`.
    rv : float
        Its A_V / E(B-V).
    ebv : float or None
        E(B-V) where the cube wants a correction and does not state one [mag]; None: the
        catalogue's.
    column : str
        The catalogue's column of E(B-V).
    scale : float
        Factor on that column.
    keep : (int, int) or None
        First and last + 1 of the slices that are returned; the others are margin for the
        smoothing of spectra, see `pxdask.ifs.wave_margin`. None: all.
    """

    config: IfsConfig
    grid: Grid
    target: Psf | None
    law: str = "F99"
    rv: float = 3.1
    ebv: float | None = None
    column: str = "ebv"
    scale: float = 1.0
    keep: tuple[int, int] | None = None

    name: ClassVar[str] = "ifs"
    version: ClassVar[int] = 1
    inputs: ClassVar[tuple[str, ...]] = ("slices",)
    output: ClassVar[Schema] = CUBE

    def settings(self) -> dict[str, Any]:
        """Return what the output depends on, as JSON values."""
        config = self.config
        corrected = config.extinction is not False
        return {
            "extinction": config.extinction,
            "smooth_to": config.smooth_to,
            "min_coverage": config.min_coverage,
            "law": self.law if corrected else None,
            "rv": self.rv if corrected else None,
            "ebv": self.ebv if corrected else None,
            "column": self.column if corrected and self.ebv is None else None,
            "scale": self.scale if corrected and self.ebv is None else None,
            "keep": None if self.keep is None else list(self.keep),
            "target": None if self.target is None else self.target.settings(),
            "grid": {"wcs": self.grid.wcs, "shape": list(self.grid.shape)},
        }

    def run(self, galaxy: Mapping[str, object], *, slices: xr.Dataset) -> xr.Dataset:
        """Return the slices on the common grid.

        Parameters
        ----------
        galaxy : mapping
            The catalogue row; names the galaxy in messages.
        slices : xarray.Dataset
            Schema ifs/1, of some wavelengths.

        Returns
        -------
        cube : xarray.Dataset
            Schema cube/1. flux and flux_err are NaN, and flagged, where less than half of a
            pixel is covered by good spaxels; ``region`` is where the footprint fills at least
            ``min_coverage`` of the pixel at one wavelength or more.

        Raises
        ------
        DataError
            If the cube's footprint does not touch the grid, or its dust is not known.
        """
        where = f"galaxy {galaxy.get('id')!r}, cube ({slices.attrs.get('path', 'no path')})"
        source = Grid(slices.attrs["wcs"], (slices.sizes["y"], slices.sizes["x"]))
        sharing = sharing_of(source, self.grid)
        if sharing.shared.nnz == 0:
            raise DataError(f"{where}: {_apart(source, self.grid)}")
        cube = self._prepared(galaxy, slices, where)
        kept = slice(*(self.keep or (0, slices.sizes["wave"])))
        maps = self._maps(slices, kept, source=source, sharing=sharing, where=where)
        planes = self._brought(cube, maps, sharing, flags=slices["flags"].values[kept])
        area = np.array([each.noise_area for each in maps])
        return self._dataset(planes, cube.lsf_fwhm, slices.isel(wave=kept), area)

    def _prepared(self, galaxy: Mapping[str, object], slices: xr.Dataset, where: str) -> Slices:
        """Return the slices that are kept, without dust and with the lines' width wanted."""
        wave = slices["wave"].values
        flux, error = (slices[name].values.astype(np.float64) for name in ("flux", "flux_err"))
        good = (slices["flags"].values & _BAD) == 0
        good &= np.isfinite(flux) & np.isfinite(error) & (error > 0)
        factor = np.ones(wave.size)
        if (ebv := self._dust(galaxy, slices, where)) > 0:
            factor = extinction_factor(wave, ebv=ebv, law=self.law, rv=self.rv)
        scale = factor[:, None, None]
        cube = Slices(
            flux=np.where(good, flux * scale, np.nan),
            variance=np.where(good, (error * scale) ** 2, np.nan),
            lsf_fwhm=slices["lsf_fwhm"].values,
        )
        keep = self.keep or (0, wave.size)
        if self.config.smooth_to is not None:
            return smoothed(cube, wave=wave, smooth_to=self.config.smooth_to, keep=keep)
        return Slices(*(part[slice(*keep)] for part in cube))

    def _dust(self, galaxy: Mapping[str, object], slices: xr.Dataset, where: str) -> float:
        """Return the E(B-V) to correct for [mag]; the slices' is None if wanted but unknown."""
        own = slices.attrs.get("ebv", 0.0)
        if self.config.extinction is False:
            return 0.0
        if own is not None and np.isfinite(own):
            return float(own)
        if self.ebv is not None:
            return self.ebv
        try:
            return self.scale * catalogue_ebv(galaxy, column=self.column)
        except DataError as error:
            raise DataError(
                f"{where}: the Milky Way's dust is to be corrected and the file does not say how"
                f" much there is ({error}); give the column, or ifs.extinction: false"
            ) from error

    def _maps(
        self, slices: xr.Dataset, kept: slice, *, source: Grid, sharing: Sharing, where: str
    ) -> list[SliceMap]:
        """Return the way of each slice to the grid; slices of like PSF share theirs."""
        groups = np.log(slices["psf_fwhm"].values[kept]) / np.log1p(WIDTH_STEP)
        noise_area = float(slices.attrs.get("noise_area", 1.0))
        made: dict[float, SliceMap] = {}
        wide: set[float] = set()
        numbers = [float(np.rint(group)) if np.isfinite(group) else np.nan for group in groups]
        for number in {n: None for n in numbers if np.isfinite(n)}:
            fwhm = float(np.exp(number * np.log1p(WIDTH_STEP)))
            kernel = self._kernel(fwhm, source.pixel_scale)
            if self.target is not None and fwhm > self.target.width * (1 + WIDTH_TOLERANCE):
                wide.add(fwhm)
            made[number] = SliceMap(
                sharing, kernel=kernel, noise_area=noise_area, shape=source.shape
            )
        if wide and self.target is not None:
            logger.warning(
                "%s: its PSF is up to %.2f arcsec wide, the images' %.2f: these slices stay as"
                " they are and are not matched (choose a wider images.target_psf)",
                where, max(wide), self.target.width,
            )  # fmt: skip
        if not all(np.isfinite(numbers)):
            if self.target is not None:
                logger.warning("%s: PSF of unknown width: not matched (give ifs.psf_fwhm)", where)
            unknown = SliceMap(sharing, kernel=None, noise_area=noise_area, shape=source.shape)
            return [made.get(number, unknown) for number in numbers]
        return [made[number] for number in numbers]

    def _kernel(self, fwhm: float, pixel_scale: float) -> Floats | None:
        """Return what widens a Gaussian PSF [arcsec] to the target; None for nothing."""
        if self.target is None or fwhm > self.target.width * (1 + WIDTH_TOLERANCE):
            return None
        return matching_kernel(Psf(fwhm=fwhm), self.target, pixel_scale=pixel_scale, band="ifs")

    def _brought(
        self,
        cube: Slices,
        maps: list[SliceMap],
        sharing: Sharing,
        *,
        flags: NDArray[np.uint16],
    ) -> dict[str, NDArray[Any]]:
        """Return flux, flux_err and flags (n_wave, ny, nx) and region (ny, nx) on the grid."""
        shape = (len(maps), *self.grid.shape)
        made = {name: np.empty(shape, np.float32) for name in ("flux", "flux_err")}
        made["flags"] = np.empty(shape, np.uint16)
        region = np.zeros(self.grid.shape, dtype=bool)
        for i, bring in enumerate(maps):
            found = bring(cube.flux[i], cube.variance[i])
            flux, sigma, coverage = (
                plane.reshape(self.grid.shape)
                for plane in (found.flux, np.sqrt(found.variance), found.coverage)
            )
            seen = sharing.filled @ np.isfinite(cube.flux[i]).ravel().astype(np.float64)
            masked = sharing.filled @ (flags[i].ravel() & int(Flag.MASKED) > 0).astype(np.float64)
            region |= np.isfinite(flux) & (seen >= self.config.min_coverage).reshape(flux.shape)
            bits = pixel_flags(flux, sigma)
            bits |= _bit(Flag.EDGE, np.isfinite(flux) & (coverage < FULL_COVERAGE))
            hidden = np.isnan(flux) & (masked >= _MOSTLY).reshape(flux.shape)
            bits |= _bit(Flag.MASKED, hidden)
            made["flux"][i], made["flux_err"][i], made["flags"][i] = flux, sigma, bits
        return {**made, "region": region}

    def _dataset(
        self, planes: dict[str, NDArray[Any]], lsf: Floats, kept: xr.Dataset, noise_area: Floats
    ) -> xr.Dataset:
        """Return the Dataset of the slices that are kept."""
        cube = ("wave", "y", "x")
        dataset = xr.Dataset(
            {
                "lsf_fwhm": ("wave", lsf, CUBE.attrs("lsf_fwhm")),
                "flux": (cube, planes["flux"], CUBE.attrs("flux")),
                "flux_err": (cube, planes["flux_err"], CUBE.attrs("flux_err")),
                "flags": (cube, planes["flags"], {**CUBE.attrs("flags"), **flag_attrs()}),
                "region": (("y", "x"), planes["region"], CUBE.attrs("region")),
                "noise_area": ("wave", noise_area, CUBE.attrs("noise_area")),
            },
            coords={"wave": ("wave", kept["wave"].values, CUBE.attrs("wave"))},
            attrs={
                "schema": CUBE.tag,
                "wcs": self.grid.wcs,
                "pixel_scale": self.grid.pixel_scale,
                **{name: kept.attrs[name] for name in ("kind",) if name in kept.attrs},
            },
        )
        return CUBE.validate(dataset)


def _bit(flag: Flag, where: NDArray[np.bool_]) -> NDArray[np.uint16]:
    """Return a flag where something holds, else 0."""
    return np.where(where, int(flag), 0).astype(np.uint16)


def _apart(source: Grid, target: Grid) -> str:
    """Return that two grids have no pixel in common, and where they are."""
    places = []
    for grid in (source, target):
        ny, nx = grid.shape
        middle = pixel_to_skycoord((nx - 1) / 2, (ny - 1) / 2, grid.to_wcs()).icrs
        size = (grid.pixel_scale * nx, grid.pixel_scale * ny)
        places.append(
            f"{size[0]:.1f} x {size[1]:.1f} arcsec about ra {middle.ra.deg:.5f},"
            f" dec {middle.dec.deg:.5f}"
        )
    return (
        f"it does not overlap the images' grid: it covers {places[0]} [deg], the grid {places[1]};"
        " look at ifs.path and the catalogue's position"
    )
