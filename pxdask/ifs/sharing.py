"""Slices of a cube on another grid: the geometry once, then a few products a slice.

A slice goes the way of an image (`pxdask.images.noise`, `pxdask.images.resample`, method exact):
convolved with what is missing to the target's PSF, then shared out to new pixels by area. What
all slices share is computed once: the overlaps of pixels, the Fourier transforms of kernels, and
how their noise averages over new pixels.

Cubes are made from fibres or dithers, so that their noise is correlated before anything is done
to it. It is taken to be white noise seen through a Gaussian of the noise area that the cube has;
the variances after convolution are then those of white noise and of both kernels together.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from astropy.wcs.utils import pixel_to_pixel
from scipy.fft import irfft2, next_fast_len, rfft2
from scipy.optimize import brentq
from scipy.signal import fftconvolve
from scipy.sparse import csr_array

from pxdask.images.grid import Grid, corner_positions
from pxdask.images.noise import MIN_COVERAGE, response_variance
from pxdask.images.resample import N_PHASES, whole_offset
from pxdask.kernels.shares import pixel_shares

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_NARROW = (0.05, 0.3)
"""Widths of Gaussians sampled so coarsely that they are a point [pix]; where to start looking."""


@dataclass(frozen=True, slots=True)
class Sharing:
    """How the pixels of one grid are shared out among another's.

    Attributes
    ----------
    shared, filled : (n_new, n_old) sparse float64
        Fractions of old pixels in new ones, and of new ones that old ones fill.
    squared : (n_new, n_old) sparse float64
        Squares of ``shared``.
    area : (n_new,) float64
        Areas of new pixels [old pixels].
    jacobian : (2, 2) float64
        d(x, y) of old pixels by d(x, y) of new, in the middle.
    phases : (n, 2) float64
        Places of a sample of new pixels on the old, x, y.
    aligned : bool
        Whether the pixels are the same, so that they are copied.
    """

    shared: csr_array
    filled: csr_array
    squared: csr_array
    area: Floats
    jacobian: Floats
    phases: Floats
    aligned: bool

    @property
    def stretch(self) -> float:
        """Area of the middle pixel [old pixels]."""
        return abs(float(np.linalg.det(self.jacobian)))


@lru_cache(maxsize=4)
def sharing_of(source: Grid, target: Grid) -> Sharing:
    """Return how the pixels of a cube are shared out; kept for the chunks that follow."""
    if (offset := whole_offset(source, target)) is not None:
        return _copying(source.shape, target.shape, offset)
    corners = corner_positions(source.to_wcs(), target.to_wcs(), source.shape)
    new, old, shared, filled = pixel_shares(*corners, shape=target.shape)
    size = (int(np.prod(target.shape)), int(np.prod(source.shape)))
    x, y = corner_positions(target.to_wcs(), source.to_wcs(), target.shape)
    across, up = (np.stack([_mean(np.diff(a, axis=axis), 1 - axis) for a in (x, y)])
                  for axis in (1, 0))  # fmt: skip
    middle = (slice(None), target.shape[0] // 2, target.shape[1] // 2)
    step = max(1, min(target.shape) // N_PHASES)
    rows, columns = (a[::step, ::step].ravel() for a in np.indices(target.shape))
    phases = pixel_to_pixel(target.to_wcs(), source.to_wcs(), columns, rows)
    return Sharing(
        shared=csr_array((shared, (new, old)), shape=size),
        squared=csr_array((shared**2, (new, old)), shape=size),
        filled=csr_array((filled, (new, old)), shape=size),
        area=np.abs(across[0] * up[1] - across[1] * up[0]).ravel(),
        jacobian=np.stack([across[middle], up[middle]], axis=1),
        phases=np.stack(phases, axis=1),
        aligned=False,
    )


def _copying(shape: tuple[int, int], wanted: tuple[int, int], offset: tuple[int, int]) -> Sharing:
    """Return the sharing of grids whose pixels are the same, from an offset (rows, columns)."""
    rows, columns = np.indices(wanted)
    at_y, at_x = rows + offset[0], columns + offset[1]
    inside = (at_y >= 0) & (at_y < shape[0]) & (at_x >= 0) & (at_x < shape[1])
    new, old = np.flatnonzero(inside), (at_y * shape[1] + at_x)[inside]
    size = (rows.size, shape[0] * shape[1])
    weights = csr_array((np.ones(new.size), (new, old)), shape=size)
    return Sharing(
        shared=weights, filled=weights, squared=weights, area=np.ones(rows.size),
        jacobian=np.eye(2), phases=np.zeros((1, 2)), aligned=True,
    )  # fmt: skip


def _mean(values: Floats, axis: int) -> Floats:
    """Return the means of neighbours along an axis, one fewer."""
    n = values.shape[axis]
    first, second = (np.take(values, range(i, n - 1 + i), axis=axis) for i in (0, 1))
    return np.asarray(0.5 * (first + second), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class OnGrid:
    """A slice on the new grid.

    ``flux``, ``variance`` (n_new,) are NaN where less than half of a pixel is covered;
    ``coverage`` (n_new,) is the fraction of its weight from good pixels.
    """

    flux: Floats
    variance: Floats
    coverage: Floats


class SliceMap:
    """From slices of one PSF to the new grid.

    Parameters
    ----------
    sharing : Sharing
        The geometry.
    kernel : (n, n) float64 or None
        What matches the PSF, odd-sized, of unit sum; None: nothing.
    noise_area : float
        Pixels over which the slices' noise is correlated [pix].
    shape : (int, int)
        Of a slice.

    Attributes
    ----------
    noise_area : float
        New pixels over which the noise is correlated then, at least 1.
    """

    def __init__(
        self,
        sharing: Sharing,
        *,
        kernel: Floats | None,
        noise_area: float,
        shape: tuple[int, int],
    ) -> None:
        self._sharing, self._shape = sharing, shape
        own = correlation_kernel(noise_area)
        both = own if kernel is None else kernel if own is None else fftconvolve(kernel, own)
        self._white = both is None
        self._kernel = kernel is not None
        raw = response_variance(
            sharing.jacobian, phases=sharing.phases, method="exact", kernel=both
        )
        self.noise_area = max(1.0, sharing.stretch / raw)
        self._response = 1.0
        if both is not None and not sharing.aligned:
            self._response = raw / float(np.sum(both**2))
        if kernel is None or both is None:
            return
        side = both.shape[0]
        self._corner, self._noise_corner = kernel.shape[0] // 2, side // 2
        self._size = tuple(next_fast_len(n + side - 1, real=True) for n in shape)
        gain = 1.0 if own is None else 1.0 / float(np.sum(own**2))
        self._transfer = rfft2(kernel, s=self._size)
        self._noise_transfer = rfft2(both**2 * gain, s=self._size)

    def __call__(self, flux: Floats, variance: Floats) -> OnGrid:
        """Return a slice (ny, nx) on the new grid; flux and variance are NaN together."""
        good = np.isfinite(flux)
        planes = np.stack([good.astype(np.float64), np.where(good, flux, 0.0),
                           np.where(good, variance, 0.0)])  # fmt: skip
        if self._kernel:
            planes = self._convolved(planes)
        present = planes[0] > 0
        covered, light, noise = planes.reshape(3, -1)
        # one slice at a time: products of whole stacks depend on how many slices there are
        filled = self._sharing.filled @ present.ravel().astype(np.float64)
        coverage = self._sharing.filled @ covered
        enough = coverage >= MIN_COVERAGE
        per_filled = np.where(enough, 1.0 / np.where(enough, filled, 1.0), np.nan)
        return OnGrid(
            flux=self._sharing.shared @ light * per_filled,
            variance=self._variance(noise, per_filled),
            coverage=np.where(enough, np.minimum(coverage, 1.0), 0.0),
        )

    def _variance(self, noise: Floats, per_filled: Floats) -> Floats:
        """Return variances of new pixels.

        White noise goes by the squares of the shares; what a kernel has correlated is taken to be
        so alike over a new pixel: the mean variance times the response.
        """
        sharing = self._sharing
        if self._white or sharing.aligned:
            variance = sharing.squared @ noise * per_filled**2
        else:
            mean = sharing.shared @ noise * per_filled
            variance = mean * sharing.area / sharing.stretch**2 * self._response
        return np.where(variance > 0, variance, np.nan)

    def _convolved(self, planes: Floats) -> Floats:
        """Return coverage, flux and variance of a convolved slice; 0 where hardly covered."""
        ny, nx = self._shape
        spectra = rfft2(planes, s=self._size, axes=(1, 2))
        transfers = np.stack([self._transfer, self._transfer, self._noise_transfer])
        full = irfft2(spectra * transfers, s=self._size, axes=(1, 2))
        at, late = self._corner, self._noise_corner
        coverage, flux = full[:2, at : at + ny, at : at + nx]
        variance = full[2, late : late + ny, late : late + nx]
        enough = coverage >= MIN_COVERAGE
        weight = np.where(enough, coverage, 1.0)
        return np.where(
            enough,
            np.stack(
                [np.minimum(coverage, 1.0), flux / weight, np.maximum(variance, 0.0) / weight**2]
            ),
            0.0,
        )


def correlation_kernel(area: float) -> Floats | None:
    """Return the Gaussian that gives white noise a noise area [pix]; None for white noise.

    Of unit sum; its noise area, the inverse of the sum of its squares, is the one given.
    """
    if not area > 1.0:
        return None

    def side(width: float) -> Floats:
        radius = max(1, int(np.ceil(5 * width)))
        values = np.exp(-0.5 * (np.arange(-radius, radius + 1) / width) ** 2)
        return np.asarray(values / values.sum())

    def excess(width: float) -> float:
        return float(1.0 / np.sum(side(width) ** 2) - np.sqrt(area))

    width = float(brentq(excess, _NARROW[0], _NARROW[1] + area**0.5))
    return np.outer(side(width), side(width))
