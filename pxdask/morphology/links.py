"""How bands share a parameter: matrices from coefficients to the values of each band."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.polynomial.chebyshev import chebvander
from scipy.interpolate import BSpline

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

Link = Literal["polynomial", "bspline"]


def smooth_terms(wave: Floats, *, of_bands: Floats, link: Link, order: int) -> Floats:
    """Return the terms of a smooth function of wavelength, at some wavelengths.

    Parameters
    ----------
    wave : (n_wave,) float64
        Where the function is wanted; beyond the bands, what it is at the nearest [Angstrom].
    of_bands : (n_band,) float64
        The bands that it is fitted to [Angstrom].
    link : {"polynomial", "bspline"}
        Polynomials are sums of Chebyshev's, from -1 to 1 between the outer bands. B-splines have
        the order as degree and half as many inner knots as bands could pin down.
    order : int
        Degree; less where there are fewer bands, counted once where they coincide.

    Returns
    -------
    terms : (n_wave, n_coefficient) float64
        The first of a polynomial is one; those of a B-spline add up to one.
    """
    distinct = np.unique(of_bands)
    degree = min(order, len(distinct) - 1)
    if degree == 0:
        return np.ones((len(wave), 1))
    low, high = distinct[0], distinct[-1]
    place = np.clip((wave - low) / (high - low), 0.0, 1.0)
    if link == "polynomial":
        return np.asarray(chebvander(2 * place - 1, degree), dtype=np.float64)
    n_inner = (len(distinct) - degree - 1) // 2
    inner = np.quantile((distinct - low) / (high - low), np.linspace(0, 1, n_inner + 2)[1:-1])
    knots = np.concatenate([np.zeros(degree + 1), inner, np.ones(degree + 1)])
    terms = BSpline.design_matrix(place, knots, degree).toarray()
    return np.asarray(terms, dtype=np.float64)
