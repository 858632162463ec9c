"""Summed spectra of bins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.errors import ConfigError, DataError
from pxdask.kernels.noise import aperture_growth

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

_BLOCK = 2**21
"""Pixels times wavelengths that are float64 at one time: 16 MiB an array."""

_ROUNDING = 1e-9
"""By how much, as a fraction, rounding may push a coverage below the least wanted."""


@dataclass(frozen=True, slots=True)
class BinSpectra:
    """Spectra of bins.

    Attributes
    ----------
    wave : (n_wave,) float64
        Wavelength, observed frame, vacuum [Angstrom].
    lsf_fwhm : (n_wave,) float64
        Width of the line spread function [Angstrom].
    spectrum, spectrum_err : (n_bin, n_wave) float64
        Summed flux density and its 1-sigma error [the cube's unit], both NaN where too few of the
        bin's pixels have one.
    coverage : (n_bin,) float64
        Part of the bin's pixels that have a spectrum [1]; NaN for a bin without pixels.
    """

    wave: NDArray[np.float64]
    lsf_fwhm: NDArray[np.float64]
    spectrum: NDArray[np.float64]
    spectrum_err: NDArray[np.float64]
    coverage: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Members:
    """Pixels of bins that have a spectrum, ordered by bin."""

    row: NDArray[np.int64]  # (n_member,)
    col: NDArray[np.int64]  # (n_member,)
    start: NDArray[np.int64]  # (n_filled,): first member of each bin that has one
    filled: NDArray[np.int64]  # (n_filled,): the number of that bin
    n_pix: NDArray[np.int64]  # (n_bin,): all pixels of the bin
    coverage: NDArray[np.float64]  # (n_bin,)


def bin_spectra(
    cube: xr.Dataset, bin_map: NDArray[np.integer], *, min_coverage: float
) -> BinSpectra:
    """Return the summed spectrum of every bin that the spectroscopy covers.

    A sum stands for all the bin's pixels, as the photometry does: where a part of them, no less
    than ``min_coverage``, has a good value at a wavelength, the sum over that part is divided
    by the part. Elsewhere the spectrum is NaN.

    Parameters
    ----------
    cube : Dataset
        ``cube/1`` on the grid of the map. A value is good where the flux is finite, the error
        finite and positive and the pixel in ``region`` (if there is one). Flags are not read.
        Read by blocks of wavelengths, so it may be lazy, and is never float64 as a whole.
    bin_map : (ny, nx) int
        Bin of each pixel, from 0; negative where none.
    min_coverage : float
        Least part of a bin's pixels that must be good, in (0, 1].

    Returns
    -------
    spectra : BinSpectra
        Errors are quadrature sums, grown by the cube's ``noise_area`` if it has one, and divided
        by the part too. A pixel has a spectrum if it is in the region; without a region, if
        any of its values is good.

    Raises
    ------
    DataError
        If the map is not on the cube's grid.
    ConfigError
        If ``min_coverage`` is out of its range.

    Notes
    -----
    Abdurro'uf et al. 2021, section 3.3, gives spectra to bins of which spectroscopy covers 90 %.
    Dividing by the covered part supposes that the pixels without spectrum are as bright as the
    others on average; they are few, and the level is matched to the photometry in the fit.
    """
    if not 0 < min_coverage <= 1:
        raise ConfigError(f"min_coverage is {min_coverage}; wanted more than 0 and at most 1")
    grid = cube["flux"].shape[1:]
    if grid != bin_map.shape:
        raise DataError(
            f"the spectra are on a grid of {grid}, the bins on {bin_map.shape}; match the"
            " spectral cube to the images first"
        )
    members = _members(bin_map, _has_spectrum(cube, bin_map))
    wave = cube["wave"].to_numpy().astype(float)
    area = cube["noise_area"].to_numpy() if "noise_area" in cube else np.ones(len(wave))
    spectrum = np.full((len(members.n_pix), len(wave)), np.nan)
    spectrum_err = spectrum.copy()
    for block in _blocks(len(wave), members.row.size):
        values, errors = (_pixels(cube, name, block, members) for name in ("flux", "flux_err"))
        rows = np.ix_(members.filled, np.arange(block.start, block.stop))
        spectrum[rows], spectrum_err[rows] = _sums(
            values, errors, members, min_coverage, area[block]
        )
    return BinSpectra(
        wave=wave,
        lsf_fwhm=cube["lsf_fwhm"].to_numpy().astype(float),
        spectrum=spectrum,
        spectrum_err=spectrum_err,
        coverage=members.coverage,
    )


def _good(values: NDArray[np.floating], errors: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Return where a flux and its error can be used."""
    return np.asarray(np.isfinite(values) & np.isfinite(errors) & (errors > 0))


def _blocks(n_wave: int, n_member: int) -> list[slice]:
    """Return slices of wavelengths of a size that is safe to hold."""
    step = max(1, _BLOCK // max(n_member, 1))
    return [slice(start, min(start + step, n_wave)) for start in range(0, n_wave, step)]


def _has_spectrum(cube: xr.Dataset, bin_map: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Return the pixels that have a spectrum."""
    if "region" in cube:
        return np.asarray(cube["region"].to_numpy(), dtype=bool)
    found = np.zeros(bin_map.shape, dtype=bool)
    for block in _blocks(cube.sizes["wave"], bin_map.size):
        part = cube.isel(wave=block)
        found |= _good(part["flux"].to_numpy(), part["flux_err"].to_numpy()).any(axis=0)
    return found


def _members(bin_map: NDArray[np.integer], has_spectrum: NDArray[np.bool_]) -> _Members:
    """Return the pixels of bins that have a spectrum, ordered by bin."""
    n_pix = np.bincount(bin_map[bin_map >= 0]).astype(np.int64)
    row, col = np.nonzero((bin_map >= 0) & has_spectrum)
    label = bin_map[row, col]
    order = np.argsort(label, kind="stable")
    filled, start, counts = np.unique(label[order], return_index=True, return_counts=True)
    coverage = np.where(n_pix > 0, 0.0, np.nan)
    coverage[filled] = counts / n_pix[filled]
    return _Members(row[order], col[order], start, filled.astype(np.int64), n_pix, coverage)


def _pixels(cube: xr.Dataset, name: str, block: slice, members: _Members) -> NDArray[np.float64]:
    """Return one variable of the members, (n_wave of the block, n_member)."""
    values = cube[name].isel(wave=block).to_numpy()
    return np.asarray(values[:, members.row, members.col], dtype=float)


def _sums(
    values: NDArray[np.float64],
    errors: NDArray[np.float64],
    members: _Members,
    min_coverage: float,
    area: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return sums and errors of the bins with members, (n_filled, n_wave of the block)."""
    good = _good(values, errors)
    total, var, n_good = (
        np.add.reduceat(each, members.start, axis=1).T
        for each in (
            np.where(good, values, 0.0),
            np.where(good, errors, 0.0) ** 2,
            good.astype(np.int64),
        )
    )
    part = n_good / members.n_pix[members.filled][:, None]
    enough = part >= min_coverage * (1 - _ROUNDING)
    missing = np.full(part.shape, np.nan)
    spectrum = np.divide(total, part, out=missing.copy(), where=enough)
    error = np.sqrt(var * aperture_growth(n_good, area))
    return spectrum, np.divide(error, part, out=missing, where=enough)
