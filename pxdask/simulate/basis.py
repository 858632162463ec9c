"""Spectra of a mock galaxy's many populations, as few spectra times maps.

A truth has some hundred thousand populations, and a cube of them is smoothed and sampled in
space at thousands of wavelengths. Both are linear, so that the populations are first written as
sums of a few dozen spectra: smoothing some planes is then as good as smoothing all slices.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from scipy.sparse import csr_array

from pxdask.core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

STEPS: dict[str, float] = {"log_age": 0.025, "log_tau": 0.05, "logzsol": 0.05, "dust2": 0.04}
"""Steps of the grid of populations whose spectra are made [unit of the parameter]; between them
spectra are linear, right to better than 0.1 per cent."""

TOLERANCE = 3e-5
"""Root mean square of what the few spectra leave of any of the many, over its mean [1]."""

_FAINT = 1e-12
"""Part of the brightest pixel's mass below which a pixel is dark [1]."""


class SpectrumMaker(Protocol):
    """What spectra are asked of, such as `pxdask.sps.observed.Observer`."""

    def spectra(self, parameters: Mapping[str, Floats], /) -> NDArray[np.float32]:
        """Return spectra per mass formed, (n, n_wave)."""
        ...


@dataclass(frozen=True, slots=True)
class SpectralBasis:
    """A cube as a product.

    Attributes
    ----------
    planes : (n_basis, ny, nx) float64
        Weight of each spectrum in each pixel of the truth.
    spectra : (n_basis, n_wave) float64
        Orthogonal; a pixel's spectrum is the sum of weight times spectrum, in the unit of
        the maker's times Msun.
    """

    planes: Floats
    spectra: Floats


def spectral_basis(truth: xr.Dataset, maker: SpectrumMaker) -> SpectralBasis:
    """Return the spectra of all pixels of a truth.

    Parameters
    ----------
    truth : xarray.Dataset
        Of schema `pxdask.simulate.truth.TRUTH`.
    maker : SpectrumMaker
        Models of the parameters in `STEPS`, at the galaxy's redshift.

    Raises
    ------
    DataError
        If a spectrum is not finite, or has no light.

    Notes
    -----
    Populations are interpolated linearly in the simplices of a regular grid (Kuhn's
    triangulation: five nodes around each point in four dimensions); of the nodes' spectra, each
    scaled to unit mean, the principal components are kept.
    """
    formed = truth["mass_formed"].to_numpy()
    bright = np.flatnonzero(formed.ravel() > _FAINT * formed.max())
    values = np.stack([truth[name].to_numpy().ravel()[bright] for name in STEPS], axis=1)
    nodes, weights = interpolation(values, steps=np.array(list(STEPS.values())))
    parameters = {name: np.ascontiguousarray(nodes[:, i]) for i, name in enumerate(STEPS)}
    made = maker.spectra(parameters).astype(np.float64)
    level = np.mean(made, axis=1)
    if not (np.all(np.isfinite(made)) and np.all(level > 0)):
        raise DataError(
            f"galaxy {truth.attrs['galaxy']!r}: {np.sum(~(level > 0))} of {level.size} spectra of"
            " its populations are not finite or have no light at these wavelengths"
        )
    coefficients, spectra = _components(made / level[:, None])
    planes = np.zeros((spectra.shape[0], formed.size))
    mixed = weights @ (coefficients * level[:, None])
    planes[:, bright] = mixed.T * formed.ravel()[bright]
    return SpectralBasis(planes.reshape(-1, *formed.shape), spectra)


def interpolation(values: Floats, *, steps: Floats) -> tuple[Floats, csr_array]:
    """Return nodes of a regular grid and the weights by which they give values between.

    Parameters
    ----------
    values : (n, n_axis) float64
    steps : (n_axis,) float64
        Largest distance of nodes; the grid spans the values exactly.

    Returns
    -------
    nodes : (n_node, n_axis) float64
        Only those that have a weight.
    weights : (n, n_node) sparse float64
        Rows sum to 1, and ``weights @ nodes`` are the values.
    """
    low, high = values.min(axis=0), values.max(axis=0)
    n_cell = np.maximum(np.ceil((high - low) / steps - 1e-9), 1).astype(np.int64)
    size = np.where(high > low, (high - low) / n_cell, 1.0)
    position = (values - low) / size
    corner = np.clip(position.astype(np.int64), 0, n_cell - 1)
    rest = np.clip(position - corner, 0.0, 1.0)
    # from the lowest corner, axis by axis in falling order of what is left, to the highest
    order = np.argsort(-rest, axis=1, kind="stable")
    falling = np.take_along_axis(rest, order, axis=1)
    n = values.shape[0]
    bounds = np.hstack([np.ones((n, 1)), falling, np.zeros((n, 1))])
    share = -np.diff(bounds, axis=1)
    stride = np.concatenate([[1], np.cumprod(n_cell[:-1] + 1)])
    path = np.cumsum(np.hstack([(corner @ stride)[:, None], stride[order]]), axis=1)
    used = share > 0
    numbers, place = np.unique(path[used], return_inverse=True)
    row = np.broadcast_to(np.arange(n)[:, None], share.shape)[used]
    at = numbers[:, None] // stride % (n_cell + 1)
    weights = csr_array((share[used], (row, place)), shape=(n, numbers.size))
    return low + at * size, weights


def _components(spectra: Floats) -> tuple[Floats, Floats]:
    """Return coefficients (n, n_basis) and components (n_basis, n_wave) of spectra (n, n_wave)."""
    power, vectors = np.linalg.eigh(spectra @ spectra.T)
    power, vectors = power[::-1], vectors[:, ::-1]
    # what components leave of the worst spectrum, as their number grows
    left = np.sum(spectra**2, axis=1, keepdims=True) - np.cumsum(vectors**2 * power, axis=1)
    worst = np.sqrt(np.maximum(left, 0.0).max(axis=0) / spectra.shape[1])
    enough = np.flatnonzero(worst <= TOLERANCE)
    n_basis = int(enough[0]) + 1 if enough.size else power.size
    found = vectors[:, :n_basis]
    return found, found.T @ spectra
