"""Spectra as an instrument sees them: broadened by motions and optics, in its own bins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array
from scipy.special import ndtr

from pxdask.core.constants import C_ANGSTROM_S
from pxdask.core.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray

REACH = 6.0
"""Standard deviations beyond which a Gaussian counts as zero; 2e-9 of it is lost and made up."""

_C_KM_S = C_ANGSTROM_S * 1e-13
_NARROW = 1e-200
"""Stands for a width of zero in divisions [Angstrom]."""
_FAR = 40.0
"""Standard deviations beyond which float64 has no tail [1]."""
_ROUNDING = 1e-9
"""Relative difference of two wavelengths that are taken for equal [1]."""


def total_sigma(
    wave: NDArray[np.float64],
    *,
    velocity: NDArray[np.float64] | float = 0.0,
    lsf_wave: NDArray[np.float64] | None = None,
    lsf_sigma: NDArray[np.float64] | None = None,
    library_sigma: NDArray[np.float64] | float = 0.0,
) -> NDArray[np.float64]:
    """Return the Gaussian width by which a library's spectra must be broadened.

    Parameters
    ----------
    wave : (n_wave,) float64
        Wavelengths, in the frame of the line spread function [Angstrom].
    velocity : (n_wave,) float64 or float
        Velocity dispersion of the galaxy, >= 0 [km s-1].
    lsf_wave, lsf_sigma : (n_lsf,) float64, optional
        The instrument's line spread function: its standard deviation at increasing
        wavelengths, linear between, constant beyond its ends [Angstrom].
    library_sigma : (n_wave,) float64 or float
        Standard deviation of lines of the library at ``wave``, in the frame of ``wave``:
        the rest frame's times 1 + z [Angstrom]. 0 where it is not known.

    Returns
    -------
    sigma : (n_wave,) float64
        [Angstrom]. 0 where the library is coarser than what is wanted: nothing can sharpen
        it, so that its spectra stay as they are.

    Raises
    ------
    ConfigError
        If a width is negative or not a number, or the table is not one.

    Notes
    -----
    Widths of Gaussians add in quadrature; ``velocity * wave / c`` is the velocity's.
    """
    _check_widths("velocity dispersion", velocity)
    _check_widths("resolution of the library", library_sigma)
    widths = [np.asarray(velocity) / _C_KM_S * wave]
    if (lsf_wave is None) != (lsf_sigma is None):
        raise ConfigError("a line spread function needs wavelengths and widths; got one of them")
    if lsf_wave is not None and lsf_sigma is not None:
        _check_widths("line spread function", lsf_sigma)
        if lsf_wave.shape != lsf_sigma.shape or not np.all(np.diff(lsf_wave) > 0):
            raise ConfigError(
                f"a line spread function needs increasing wavelengths, and a width at each; got"
                f" {lsf_sigma.size} widths at {lsf_wave.size} wavelengths"
            )
        widths.append(np.interp(wave, lsf_wave, lsf_sigma))
    wanted = np.sum(np.square(widths), axis=0)
    sigma: NDArray[np.float64] = np.sqrt(np.maximum(wanted - np.square(library_sigma), 0.0))
    return sigma


def broadening(
    edges: NDArray[np.float64], out_edges: NDArray[np.float64], sigma: NDArray[np.float64]
) -> csr_array:
    """Return the matrix from a spectrum in bins to a broadened one in other bins.

    Parameters
    ----------
    edges : (n_in + 1,) float64
        Edges of the bins in which the spectrum is constant, increasing [Angstrom].
    out_edges : (n_out + 1,) float64
        Edges of the bins wanted, increasing, within those of the spectrum [Angstrom].
    sigma : (n_out,) float64
        Standard deviation of the Gaussian at each bin wanted, >= 0; 0: only new bins
        [Angstrom].

    Returns
    -------
    matrix : (n_out, n_in) sparse float64
        ``matrix @ flux`` are means per unit wavelength over the bins wanted. Rows sum to 1:
        near the ends of the spectrum, where a Gaussian reaches out of it, what is inside
        stands for all.

    Raises
    ------
    ConfigError
        If bins wanted lie outside the spectrum or do not increase, or a width is negative or
        not a number.

    Notes
    -----
    Exact for the binned spectrum, with no sampling of the Gaussian: the mean over the bin
    (a, b) of a step at e seen through it is ``(H(b - e) - H(a - e)) / (b - a)``, where
    ``H(t) = t Phi(t / sigma) + sigma phi(t / sigma)`` is the integral of the normal
    distribution's cumulative function Phi; a bin is the difference of two steps.
    """
    _check_widths("sigma", sigma)
    _check_covered(edges, out_edges)
    low, high = out_edges[:-1], out_edges[1:]
    last = edges.size - 2
    first = np.clip(np.searchsorted(edges, low - REACH * sigma, side="right") - 1, 0, last)
    stop = np.clip(np.searchsorted(edges, high + REACH * sigma), first + 1, last + 1)
    count = stop - first
    # steps: one more a row than bins; the last of each row starts no bin
    row, step = _ranges(first, count + 1)
    reach = _softened(high[row] - edges[step], sigma[row])
    reach -= _softened(low[row] - edges[step], sigma[row])
    ends_row = np.append(row[1:] != row[:-1], True)
    share = np.maximum(-np.diff(reach, append=0.0)[~ends_row], 0.0)
    row_start = np.concatenate([[0], np.cumsum(count)])
    share /= np.repeat(np.add.reduceat(share, row_start[:-1]), count)
    return csr_array((share, step[~ends_row], row_start), shape=(sigma.size, last + 1))


def _softened(t: NDArray[np.float64], sigma: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the integral up to ``t`` of a step at 0 seen through a Gaussian."""
    away = np.abs(t)
    x = np.minimum(away / np.maximum(sigma, _NARROW), _FAR)
    # t Phi(t / sigma) is max(t, 0) less the tail below
    bell = sigma / np.sqrt(2 * np.pi) * np.exp(-(x**2) / 2)
    result: NDArray[np.float64] = np.maximum(t, 0.0) + bell - away * ndtr(-x)
    return result


def _ranges(
    first: NDArray[np.int64], count: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the row and the value of each element of ``first[row] + arange(count[row])``."""
    row = np.repeat(np.arange(first.size), count)
    start = np.cumsum(count) - count
    return row, np.arange(row.size) - start[row] + first[row]


def _check_widths(name: str, widths: NDArray[np.float64] | float) -> None:
    """Raise `ConfigError` if a width cannot be one."""
    widths = np.asarray(widths, dtype=np.float64)
    bad = widths[~((widths >= 0) & (widths < np.inf))]
    if bad.size:
        raise ConfigError(f"{name}: {bad.flat[0]} is not a width; it must be 0 or positive")


def _check_covered(edges: NDArray[np.float64], out_edges: NDArray[np.float64]) -> None:
    """Raise `ConfigError` if bins wanted are none, or lie outside the spectrum."""
    if out_edges.size < 2 or not np.all(np.diff(out_edges) > 0):
        raise ConfigError(f"edges of bins must be two or more that increase; got {out_edges}")
    if out_edges[0] < edges[0] * (1 - _ROUNDING) or out_edges[-1] > edges[-1] * (1 + _ROUNDING):
        raise ConfigError(
            f"the wavelengths wanted, {out_edges[0]:.6g}-{out_edges[-1]:.6g} Angstrom, reach"
            f" beyond the spectrum's, {edges[0]:.6g}-{edges[-1]:.6g} Angstrom"
        )
