"""One way to ask for bins, whatever the method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pxdask.binning.annuli import annulus_bins
from pxdask.binning.blocks import hexagon_bins, pixel_bins, square_bins
from pxdask.binning.compat import pixedfit_bins
from pxdask.binning.given import given_bins
from pxdask.binning.voronoi import voronoi_bins
from pxdask.core.errors import ConfigError, DataError
from pxdask.kernels.binning import sed_similarity_bins

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import ArrayLike, NDArray

    from pxdask.core.config import BinConfig


@dataclass(frozen=True, slots=True)
class _Request:
    """What methods are made from; see `bin_pixels`."""

    flux: NDArray[np.floating]
    flux_err: NDArray[np.floating]
    region: NDArray[np.bool_]
    settings: BinConfig
    reference: int
    min_snr: NDArray[np.float64]
    noise_area: ArrayLike
    wcs: str | None
    given: NDArray[Any] | None


def bin_pixels(
    flux: NDArray[np.floating],
    flux_err: NDArray[np.floating],
    region: NDArray[np.bool_],
    *,
    settings: BinConfig,
    reference: int,
    min_snr: ArrayLike,
    noise_area: ArrayLike = 1.0,
    wcs: str | None = None,
    given: NDArray[Any] | None = None,
) -> NDArray[np.int32]:
    """Return the map of bins that the settings ask for.

    Parameters
    ----------
    flux, flux_err : (n_band, ny, nx)
        Flux per pixel and its 1-sigma error [any unit]. Where the flux is not finite or the error
        not finite and positive, that band of that pixel does not count; the pixel is binned.
    region : (ny, nx) bool
        Pixels to bin.
    settings : BinConfig
        Method and its settings; the S/N and the reference band are taken from the arguments.
    reference : int
        Number of the band of seeds, of the light's form, and of the S/N of Voronoi bins.
    min_snr : (n_band,) array_like
        S/N asked of bins [1]; 0 or NaN: no demand.
    noise_area : (n_band,) array_like
        Pixels over which noise is correlated [pix]; see `pxdask.kernels.noise`.
    wcs : str, optional
        FITS cards of the celestial coordinates.
    given : (ny, nx) array, optional
        The map of method ``map``.

    Returns
    -------
    bin_map : (ny, nx) int32
        From 0 without gaps, -1 outside the region. Every pixel of the region is in one bin, save
        with method ``map`` those to which it gives none.

    Raises
    ------
    ConfigError, DataError
        As the method's function, or if the shapes do not agree.

    Notes
    -----
    Voronoi bins take the S/N of the reference band, or, where ``settings.snr`` names bands, of
    these. ``pixedfit`` leaves the noise's correlation out, as that program does, and bins with
    its replaced fluxes, which are nowhere else used.
    """
    if flux.ndim != 3 or flux.shape != flux_err.shape or flux.shape[1:] != region.shape:
        raise DataError(
            f"flux {flux.shape}, flux_err {flux_err.shape} and region {region.shape} do not"
            " agree; wanted (n_band, ny, nx) twice and (ny, nx)"
        )
    if not 0 <= reference < len(flux):
        raise ConfigError(f"reference band {reference} is not one of the {len(flux)} bands")
    demand = np.broadcast_to(np.asarray(min_snr, dtype=float), len(flux))
    request = _Request(flux, flux_err, region, settings, reference, demand, noise_area, wcs, given)
    if not region.any():
        return np.full(region.shape, -1, dtype=np.int32)
    return _METHODS[settings.method](request)


def _sed_similarity(request: _Request) -> NDArray[np.int32]:
    settings = request.settings
    return sed_similarity_bins(
        request.flux,
        request.flux_err,
        request.region,
        reference=request.reference,
        min_snr=request.min_snr,
        min_diameter=settings.min_diameter,
        max_chi2=settings.max_chi2,
        ring_width=settings.ring_width,
        noise_area=request.noise_area,
    )


def _pixedfit(request: _Request) -> NDArray[np.int32]:
    settings = request.settings
    return pixedfit_bins(
        np.asarray(request.flux, dtype=np.float64),
        np.asarray(request.flux_err, dtype=np.float64),
        request.region,
        reference=request.reference,
        min_snr=request.min_snr,
        min_diameter=settings.min_diameter,
        max_chi2=settings.max_chi2,
        ring_width=settings.ring_width,
    )


def _voronoi(request: _Request) -> NDArray[np.int32]:
    target = request.min_snr
    if not isinstance(request.settings.snr, dict):
        target = np.where(np.arange(len(target)) == request.reference, target, 0.0)
    return voronoi_bins(
        request.flux,
        request.flux_err,
        request.region,
        min_snr=target,
        noise_area=request.noise_area,
    )


def _pixels(request: _Request) -> NDArray[np.int32]:
    return pixel_bins(request.region)


def _squares(request: _Request) -> NDArray[np.int32]:
    return square_bins(request.region, size=request.settings.size)


def _hexagons(request: _Request) -> NDArray[np.int32]:
    return hexagon_bins(request.region, size=request.settings.size)


def _annuli(request: _Request) -> NDArray[np.int32]:
    settings = request.settings
    return annulus_bins(
        request.flux[request.reference],
        request.region,
        width=settings.size,
        axis_ratio=settings.axis_ratio,
        angle=settings.angle,
        wcs=request.wcs,
    )


def _map(request: _Request) -> NDArray[np.int32]:
    if request.given is None:
        raise ConfigError(
            f"binning.method is map, and its map {request.settings.map!r} has not been read; pass"
            " it as given"
        )
    return given_bins(request.given, request.region)


_METHODS: Mapping[str, Callable[[_Request], NDArray[np.int32]]] = {
    "sed_similarity": _sed_similarity,
    "pixedfit": _pixedfit,
    "voronoi": _voronoi,
    "pixels": _pixels,
    "squares": _squares,
    "hexagons": _hexagons,
    "annuli": _annuli,
    "map": _map,
}
"""The function of every method of `BinConfig`."""
