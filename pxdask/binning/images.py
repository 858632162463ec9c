"""Plain multi-band images into a dataset of bins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from pxdask.binning.methods import bin_pixels
from pxdask.binning.quality import BinQuality, bin_quality
from pxdask.binning.sums import BinSums, bin_sums
from pxdask.core.config import BinConfig
from pxdask.core.errors import ConfigError, DataError
from pxdask.core.flags import Flag, flag_attrs
from pxdask.core.provenance import canonical_json
from pxdask.core.schema import BINS
from pxdask.kernels.binning import binning_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

NO_RESULT = frozenset({"max_memory"})
"""Settings that change no result."""

_PIXEL_BYTES = {"voronoi": 1000}
"""Memory that a method takes for each pixel of the region, where it is not `_GRID_BYTES` [byte]."""

_GRID_BYTES = 176
"""The same for methods that look at positions only [byte]."""

_TABLE_BYTES = 64
"""Memory for each band of each bin, and each pixel of the image, once bins are made [byte]."""


def bin_images(
    flux: NDArray[np.floating],
    flux_err: NDArray[np.floating],
    *,
    bands: Sequence[str],
    settings: BinConfig | None = None,
    region: NDArray[np.bool_] | None = None,
    pivot_wave: ArrayLike | None = None,
    noise_area: ArrayLike | None = None,
    flags: NDArray[np.uint16] | None = None,
    wcs: str | None = None,
    given: NDArray[Any] | None = None,
) -> xr.Dataset:
    """Return the bins of images of one piece of sky.

    Parameters
    ----------
    flux, flux_err : (n_band, ny, nx)
        Flux per pixel and its 1-sigma error [uJy], on one grid and of one PSF. A band of a pixel
        counts where the flux is finite and the error finite and positive.
    bands : sequence of str
        Names of the bands.
    settings : BinConfig, optional
        Method and its settings. Default: as `BinConfig`.
    region : (ny, nx) bool, optional
        Pixels to bin. Default: those that count in any band.
    pivot_wave : (n_band,) array_like, optional
        Pivot wavelengths [Angstrom]. By default NaN, and the reference band, if the settings
        name none, is the middle in the order given instead of in wavelength.
    noise_area : (n_band,) array_like, optional
        Pixels over which noise is correlated [pix]; by default 1, as in images not resampled.
    flags : (n_band, ny, nx) uint16, optional
        Quality flags. Default: what fluxes and errors tell.
    wcs : str, optional
        FITS cards of the celestial coordinates, for angles and for maps made later.
    given : (ny, nx) array, optional
        The bins of method ``map``: numbers from 1, 0 where none.

    Returns
    -------
    bins : Dataset
        ``bins/1`` with its figures of quality. Fluxes are sums over pixels that count; their
        errors grow with the noise correlation if the settings ask so. NaN, both, where a bin has no
        such pixel in a band. Flags are those of any pixel, and `Flag.LOW_SNR` where a demand is
        missed.

    Raises
    ------
    DataError
        If shapes do not agree, the region is empty, or more memory is needed than
        ``settings.max_memory``. Needed is that of fluxes, errors and flags, and the larger of what
        the method takes and of the tables: `pxdask.kernels.binning.binning_bytes` for bins of
        similar SEDs (for ``pixedfit`` in float64, and copies of fluxes and errors besides), 1000
        bytes a pixel of the region for Voronoi bins, 176 for the others; 64 bytes for each
        pixel of the image and each band of each bin.
    ConfigError
        If the settings name a band that is not there, or ask of the method what it cannot do.

    Examples
    --------
    >>> import numpy as np
    >>> flux = np.full((2, 6, 6), 2.0)
    >>> bins = bin_images(flux, np.ones_like(flux), bands=["g", "r"])
    >>> int(bins["n_pix"].sum())
    36
    """
    settings = BinConfig() if settings is None else settings
    flux, flux_err = np.asarray(flux), np.asarray(flux_err)
    names = [str(band) for band in bands]
    _check_shapes(flux, flux_err, names)
    chosen = _usable(flux, flux_err).any(axis=0) if region is None else region
    region = np.asarray(chosen, dtype=np.bool_)
    if flags is None:
        flags = _flags(flux, flux_err)
    if not region.any():
        raise DataError("the region has no pixel, wanted at least one to bin")
    images = flux.nbytes + flux_err.nbytes + flags.nbytes
    _check_memory(images + _search_bytes(flux, flux_err, region, settings), region, settings)
    waves = np.broadcast_to(np.asarray(np.nan if pivot_wave is None else pivot_wave), len(names))
    reference = _reference(settings, names, waves.astype(np.float64))
    min_snr = _min_snr(settings, names)
    area = noise_area if noise_area is not None and settings.correlated_noise else 1.0
    bin_map = bin_pixels(
        flux,
        flux_err,
        region,
        settings=settings,
        reference=reference,
        min_snr=min_snr,
        noise_area=area,
        wcs=wcs,
        given=given,
    )
    tables = _TABLE_BYTES * (region.size + len(names) * (int(bin_map.max()) + 1))
    _check_memory(images + tables, region, settings)
    sums = bin_sums(flux, flux_err, bin_map, noise_area=area, flags=flags)
    quality = bin_quality(flux, flux_err, bin_map, sums, min_snr=min_snr)
    attrs = {
        "n_bin": len(sums.n_pix),
        "reference_band": names[reference],
        "settings": canonical_json(settings.model_dump(mode="json", exclude=set(NO_RESULT))),
        **({} if wcs is None else {"wcs": wcs}),
    }
    values = _values(bin_map, sums, quality, min_snr=min_snr)
    values["noise_area"] = np.broadcast_to(np.asarray(area, np.float64), len(names))
    coords = {"band": np.array(names, dtype=object), "pivot_wave": waves.astype(np.float64)}
    return _dataset(values, coords).assign_attrs(attrs)


def _check_shapes(
    flux: NDArray[np.floating], flux_err: NDArray[np.floating], bands: Sequence[str]
) -> None:
    """Raise `DataError` unless there is one image and one of errors for each band."""
    if flux.ndim != 3 or flux.shape != flux_err.shape or len(flux) != len(bands):
        raise DataError(
            f"flux {flux.shape} and flux_err {flux_err.shape} do not go with {len(bands)} bands;"
            " wanted (n_band, ny, nx) twice"
        )


def _usable(flux: NDArray[np.floating], flux_err: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Return where a band of a pixel counts."""
    return np.asarray(np.isfinite(flux) & np.isfinite(flux_err) & (flux_err > 0))


def _flags(flux: NDArray[np.floating], flux_err: NDArray[np.floating]) -> NDArray[np.uint16]:
    """Return the flags that fluxes and errors tell."""
    flags = np.zeros(flux.shape, dtype=np.uint16)
    flags[~np.isfinite(flux)] = Flag.NO_DATA
    flags[~(np.isfinite(flux_err) & (flux_err > 0))] |= np.uint16(Flag.NO_ERROR)
    return flags


def _search_bytes(
    flux: NDArray[np.floating],
    flux_err: NDArray[np.floating],
    region: NDArray[np.bool_],
    settings: BinConfig,
) -> int:
    """Return the memory that a method takes beside its inputs [byte]."""
    n_pix, (rows, columns) = int(np.count_nonzero(region)), region.shape
    if settings.method not in ("sed_similarity", "pixedfit"):
        return _PIXEL_BYTES.get(settings.method, _GRID_BYTES) * n_pix
    copied = settings.method == "pixedfit"
    itemsize = 8 if copied else max(flux.itemsize, flux_err.itemsize)
    search = binning_bytes(n_pix, len(flux), (rows, columns), itemsize=itemsize)
    return search + (3 * itemsize * flux.size if copied else 0)


def _check_memory(needed: int, region: NDArray[np.bool_], settings: BinConfig) -> None:
    """Raise `DataError` if binning takes more memory than it may."""
    if needed > settings.max_memory * 1e9:
        raise DataError(
            f"binning the region's {int(np.count_nonzero(region))} pixels takes about"
            f" {needed / 1e9:.3g} GB of memory, binning.max_memory allows {settings.max_memory:g};"
            " raise it, make the region smaller, or the pixels larger (images.pixel_scale)"
        )


def _reference(settings: BinConfig, bands: list[str], pivot_wave: NDArray[np.float64]) -> int:
    """Return the number of the reference band: the one named, or the middle in wavelength."""
    wanted = settings.reference_band
    if wanted is None:
        return int(np.argsort(pivot_wave, kind="stable")[(len(bands) - 1) // 2])
    if wanted not in bands:
        raise ConfigError(f"binning.reference_band is {wanted!r}; the cube's bands are {bands}")
    return bands.index(wanted)


def _min_snr(settings: BinConfig, bands: list[str]) -> NDArray[np.float64]:
    """Return the S/N demanded in each band, 0 for no demand."""
    if not isinstance(settings.snr, dict):
        return np.full(len(bands), float(settings.snr))
    if unknown := sorted(set(settings.snr) - set(bands)):
        raise ConfigError(f"binning.snr names {unknown}; the cube's bands are {bands}")
    return np.array([settings.snr.get(band, 0.0) for band in bands])


def _low_snr(sums: BinSums, min_snr: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return where bins miss the S/N demanded; rounding is no miss, no usable pixel is one."""
    reached = sums.flux >= min_snr * (1.0 - 1e-9) * sums.flux_err
    return (min_snr > 0) & ~reached


def _values(
    bin_map: NDArray[np.int32],
    sums: BinSums,
    quality: BinQuality,
    *,
    min_snr: NDArray[np.float64],
) -> dict[str, NDArray[np.generic]]:
    """Return the variables of ``bins/1`` by their names."""
    low_snr = np.where(_low_snr(sums, min_snr), Flag.LOW_SNR, 0).astype(np.uint16)
    return {
        "bin_map": bin_map,
        "flux": sums.flux,
        "flux_err": sums.flux_err,
        "n_pix": sums.n_pix,
        "flags": sums.flags | low_snr,
        "snr": quality.snr,
        "limiting_band": quality.limiting_band,
        "compactness": quality.compactness,
        "n_pieces": quality.n_pieces,
        "sed_chi2": quality.sed_chi2,
    }


def _dataset(
    values: Mapping[str, NDArray[np.generic]], coords: Mapping[str, NDArray[np.generic]]
) -> xr.Dataset:
    """Return a ``bins/1`` dataset."""
    variables, coordinates = (
        {name: (BINS.variables[name].dims, value, BINS.attrs(name)) for name, value in part.items()}
        for part in (values, coords)
    )
    bins = xr.Dataset(variables, coords=coordinates, attrs={"schema": BINS.tag})
    bins["flags"].attrs.update(flag_attrs())
    return bins
