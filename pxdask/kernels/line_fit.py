"""Gaussian emission lines of one velocity and one width, fitted to spectra without continuum."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit

from pxdask.core.constants import C_ANGSTROM_S
from pxdask.kernels.small_systems import inverse, solved

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]
    Bools = NDArray[np.bool_]

C_KM_S = C_ANGSTROM_S * 1e-13
"""Speed of light [km s-1]; exact, SI."""

MAX_VELOCITY, MAX_SIGMA = 500.0, 500.0
"""Ends of the velocities, from the redshift on, and of the widths that are tried [km s-1]."""

_VELOCITIES = np.linspace(-MAX_VELOCITY, MAX_VELOCITY, 26)
_SIGMAS = np.array([25.0, 60.0, 120.0, 220.0, 350.0])
"""Where the search starts from [km s-1]; steps are below the width of a line in CALIFA and MaNGA
(LSF of 70 km/s and more), so that the best start lies in the valley of the least chi-square."""

_ASSUMED_SIGMA = 80.0
"""Width of lines too weak to tell theirs [km s-1]: gas of discs, 20 to 40, and its rotation within
a resolution element."""

_REACH = 6.0
"""Sigmas from its centre at which a Gaussian ends; 2e-9 of its flux is beyond."""

_COVERED = 0.7
"""Least part of a line's flux at good wavelengths [1]; doublets, 3 to 1, may lose the lesser."""

_MAX_STEPS = 60
_LONGEST = 100.0
"""Steps of the descent at most, and the longest in velocity [km s-1]."""


class LineShapes(NamedTuple):
    """Lines to be fitted; those of one group have flux in fixed ratios.

    Attributes
    ----------
    wave : (n_member,) float64
        Wavelength at velocity 0, observed frame [Angstrom].
    variance : (n_member,) float64
        Variance of the line spread function there, above 0 [Angstrom2].
    group : (n_member,) int64
        Number of the line's group, from 0.
    share : (n_member,) float64
        Its flux over that of the group [1].
    """

    wave: Floats
    variance: Floats
    group: NDArray[np.int64]
    share: Floats


@dataclass(frozen=True, eq=False)
class GaussianLines:
    """Lines of spectra.

    Attributes
    ----------
    flux, flux_err : (n_spectrum, n_group) float64
        [unit of the spectra times Angstrom]; NaN where the line is not covered.
    velocity, velocity_err : (n_spectrum,) float64
        From the given wavelengths on [km s-1]; NaN where lines are too weak to tell, or the best
        velocity or width is an end of what is tried.
    sigma, sigma_err : (n_spectrum,) float64
        Width without that of the line spread function [km s-1], likewise; where sigma is 0, its
        error is the width of the line whose sigma squared is one standard deviation.
    chi2 : (n_spectrum,) float64
        Chi-square at all the wavelengths given.
    n_used : (n_spectrum,) int32
        Good wavelengths.
    """

    flux: Floats
    flux_err: Floats
    velocity: Floats
    velocity_err: Floats
    sigma: Floats
    sigma_err: Floats
    chi2: Floats
    n_used: NDArray[np.int32]


def fit_gaussian_lines(
    wave: Floats, residual: Floats, error: Floats, lines: LineShapes, *, min_gain: float
) -> GaussianLines:
    """Return the best Gaussian lines of every spectrum.

    Parameters
    ----------
    wave : (n_wave,) float64
        Increasing [Angstrom]; may have gaps, such as between the surroundings of lines.
    residual, error : (n_spectrum, n_wave) float64
        Spectra less their continuum and 1-sigma uncertainties. A value that is not finite, or
        whose error is not finite and positive, is left out.
    lines : LineShapes
        What is fitted: one flux for each group, one velocity and one width for all.
    min_gain : float
        How much lines in emission must lower chi-square for velocity and width to be fitted. Below,
        velocity is 0 and the width a usual one: fluxes then are linear in the data and unbiased,
        which they are not where noise may choose the place of the line.

    Returns
    -------
    found : GaussianLines
        Fluxes may be negative. A spectrum's result does not depend on the others.

    Notes
    -----
    Variable projection: fluxes are linear and follow from velocity and width, which go from the
    best of a grid by Levenberg-Marquardt steps on the whole set of parameters (Golub & Pereyra
    2003). Errors are those of the inverse normal matrix, so that fluxes have the uncertainty of
    width and velocity in them. Profiles are sampled at the wavelengths, not integrated, as an LSF
    measured on the pixels wants.
    """
    n_spectrum, n_group = residual.shape[0], int(lines.group.max()) + 1
    flux, flux_err = np.full((2, n_spectrum, n_group), np.nan)
    kinematics = np.full((n_spectrum, 5), np.nan)
    n_used = np.zeros(n_spectrum, np.int32)
    spectra = (wave, np.ascontiguousarray(residual), np.ascontiguousarray(error))
    _fit_all(spectra, bin_widths(wave), lines, min_gain, flux, flux_err, kinematics, n_used)
    velocity, velocity_err, sigma, sigma_err, chi2 = np.ascontiguousarray(kinematics.T)
    return GaussianLines(flux, flux_err, velocity, velocity_err, sigma, sigma_err, chi2, n_used)


def bin_widths(wave: Floats) -> Floats:
    """Return the width of each wavelength's bin [Angstrom]: half the distance of its neighbours.

    Next to a gap it is the distance to the nearer neighbour.
    """
    if wave.size < 2:
        return np.ones_like(wave)
    step = np.diff(wave)
    before, after = np.append(step[:1], step), np.append(step, step[-1:])
    near = np.minimum(before, after)
    return np.asarray(np.where(before + after > 4 * near, near, 0.5 * (before + after)))


class _Spectrum(NamedTuple):
    """One spectrum: wavelengths, values, inverse variances (0: not good), sum(values^2 weight)."""

    wave: Floats
    values: Floats
    weight: Floats
    power: float


class _Place(NamedTuple):
    """Room for profiles (n_group + 2, n_wave) and their first and last + 1 wavelengths."""

    columns: Floats
    ends: Integers


@njit(cache=True, nogil=True, error_model="numpy")
def _fit_all(
    spectra: tuple[Floats, Floats, Floats],
    width: Floats,
    lines: LineShapes,
    min_gain: float,
    flux: Floats,
    flux_err: Floats,
    kinematics: Floats,
    n_used: NDArray[np.int32],
) -> None:
    """Fill the results of every spectrum."""
    wave, residual, error = spectra
    n_group = flux.shape[1]
    place = _Place(np.zeros((n_group + 2, wave.size)), np.zeros((n_group, 2), np.int64))
    for i in range(residual.shape[0]):
        spectrum = _prepared(wave, residual[i], error[i])
        n_used[i] = np.count_nonzero(spectrum.weight)
        _fill(wave, lines, 0.0, _ASSUMED_SIGMA**2, place)
        active = _active(place, spectrum.weight, width, lines)
        if not np.any(active):
            continue
        v, u, gain = _search(spectrum, lines, active, place)
        moving = gain >= min_gain
        if moving:
            v, u = _descend(spectrum, lines, active, v, u, place)
            # Not lines, but faults of the continuum as wide as they may be.
            moving = u < MAX_SIGMA**2 and abs(v) < MAX_VELOCITY
        if not moving:
            v, u = 0.0, _ASSUMED_SIGMA**2
        _fill(wave, lines, v, u, place)
        matrix, vector = _normal(place, spectrum, active)
        amplitude = solved(matrix, vector)
        kinematics[i, 4] = spectrum.power - vector @ amplitude
        if moving:
            _slopes(wave, lines, amplitude, v, u, place)
            matrix = _whole(place, matrix, spectrum, amplitude, active)[0]
            kinematics[i, :4] = _kinematics(v, u, matrix, n_group)
            if u == 0.0:
                matrix = matrix[: n_group + 1, : n_group + 1].copy()
        variance = np.diag(inverse(matrix))[:n_group]
        flux[i] = np.where(active, amplitude, np.nan)
        flux_err[i] = np.where(active, np.sqrt(variance), np.nan)


@njit(cache=True, nogil=True, error_model="numpy")
def _prepared(wave: Floats, residual: Floats, error: Floats) -> _Spectrum:
    """Return a spectrum whose bad values have no weight."""
    good = np.isfinite(residual) & np.isfinite(error) & (error > 0)
    weight = np.where(good, error, np.inf) ** -2.0
    values = np.where(good, residual, 0.0)
    return _Spectrum(wave, values, weight, np.sum(weight * values**2))


@njit(cache=True, nogil=True, error_model="numpy")
def _search(
    spectrum: _Spectrum, lines: LineShapes, active: Bools, place: _Place
) -> tuple[float, float, float]:
    """Return velocity and sigma squared of the best of a grid, and how much chi-square falls."""
    best, v, u = 0.0, 0.0, _ASSUMED_SIGMA**2
    for sigma in _SIGMAS:
        for velocity in _VELOCITIES:
            _fill(spectrum.wave, lines, velocity, sigma**2, place)
            gain = _gain(place, spectrum, active)
            if gain > best:
                best, v, u = gain, velocity, sigma**2
    return v, u, best


@njit(cache=True, nogil=True, error_model="numpy")
def _kinematics(v: float, u: float, matrix: Floats, n_group: int) -> Floats:
    """Return velocity and sigma, each followed by its uncertainty."""
    found = np.array([v, 0.0, math.sqrt(u), 0.0])
    if u > 0:
        covariance = inverse(matrix)
        found[3] = math.sqrt(covariance[n_group + 1, n_group + 1] / (4 * u))
    else:
        found[3] = inverse(matrix)[n_group + 1, n_group + 1] ** 0.25
        covariance = inverse(matrix[: n_group + 1, : n_group + 1].copy())
    found[1] = math.sqrt(covariance[n_group, n_group])
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def _fill(wave: Floats, lines: LineShapes, v: float, u: float, place: _Place) -> None:
    """Fill each group's profile, and the first and last + 1 wavelength where it is not 0."""
    columns, ends = place.columns, place.ends
    for g in range(ends.shape[0]):
        columns[g, ends[g, 0] : ends[g, 1]] = 0.0
        ends[g, 0], ends[g, 1] = wave.size, 0
    for m in range(lines.wave.size):
        centre = lines.wave[m] * (1 + v / C_KM_S)
        s2 = lines.variance[m] + u * (centre / C_KM_S) ** 2
        reach = _REACH * math.sqrt(s2)
        low, high = np.searchsorted(wave, centre - reach), np.searchsorted(wave, centre + reach)
        g, scale = lines.group[m], lines.share[m] / math.sqrt(2 * math.pi * s2)
        for k in range(low, high):
            columns[g, k] += scale * math.exp(-0.5 * (wave[k] - centre) ** 2 / s2)
        if high > low:
            ends[g, 0], ends[g, 1] = min(ends[g, 0], low), max(ends[g, 1], high)
    for g in range(ends.shape[0]):
        ends[g, 0] = min(ends[g, 0], ends[g, 1])


@njit(cache=True, nogil=True, error_model="numpy")
def _active(place: _Place, weight: Floats, width: Floats, lines: LineShapes) -> Bools:
    """Return the groups of which enough flux is at good wavelengths."""
    columns, ends = place.columns, place.ends
    found = np.zeros(ends.shape[0], np.bool_)
    for g in range(ends.shape[0]):
        covered, whole = 0.0, 0.0
        for k in range(ends[g, 0], ends[g, 1]):
            if weight[k] > 0:
                covered += columns[g, k] * width[k]
        for m in range(lines.group.size):
            if lines.group[m] == g:
                whole += lines.share[m]
        found[g] = covered >= _COVERED * whole
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def _normal(place: _Place, spectrum: _Spectrum, active: Bools) -> tuple[Floats, Floats]:
    """Return the normal matrix and vector of fluxes; groups not active have flux 0."""
    columns, ends = place.columns, place.ends
    weight, values = spectrum.weight, spectrum.values
    n = ends.shape[0]
    matrix, vector = np.zeros((n, n)), np.zeros(n)
    for i in range(n):
        if not active[i]:
            matrix[i, i] = 1.0
            continue
        for k in range(ends[i, 0], ends[i, 1]):
            vector[i] += weight[k] * columns[i, k] * values[k]
        for j in range(i, n):
            if active[j]:
                low, high = max(ends[i, 0], ends[j, 0]), min(ends[i, 1], ends[j, 1])
                total = 0.0
                for k in range(low, high):
                    total += weight[k] * columns[i, k] * columns[j, k]
                matrix[i, j] = matrix[j, i] = total
    return matrix, vector


@njit(cache=True, nogil=True, error_model="numpy")
def _gain(place: _Place, spectrum: _Spectrum, active: Bools) -> float:
    """Return by how much lines in emission lower chi-square; 0 where a line is not seen."""
    matrix, vector = _normal(place, spectrum, active)
    amplitude = solved(matrix, vector)
    total = 0.0
    for g in range(vector.size):
        if amplitude[g] > 0:
            total += amplitude[g] * vector[g]
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def _slopes(
    wave: Floats, lines: LineShapes, amplitude: Floats, v: float, u: float, place: _Place
) -> None:
    """Fill the last two columns: derivatives of the model by velocity and by sigma squared."""
    columns = place.columns
    n = amplitude.size
    columns[n:] = 0.0
    for m in range(lines.wave.size):
        centre = lines.wave[m] * (1 + v / C_KM_S)
        s2 = lines.variance[m] + u * (centre / C_KM_S) ** 2
        reach = _REACH * math.sqrt(s2)
        low, high = np.searchsorted(wave, centre - reach), np.searchsorted(wave, centre + reach)
        scale = amplitude[lines.group[m]] * lines.share[m] / math.sqrt(2 * math.pi * s2)
        for k in range(low, high):
            x = wave[k] - centre
            value = scale * math.exp(-0.5 * x * x / s2)
            by_variance = value * 0.5 * (x * x / s2 - 1) / s2
            by_centre = value * x / s2 + by_variance * 2 * u * centre / C_KM_S**2
            columns[n, k] += by_centre * lines.wave[m] / C_KM_S
            columns[n + 1, k] += by_variance * (centre / C_KM_S) ** 2


@njit(cache=True, nogil=True, error_model="numpy")
def _whole(
    place: _Place, matrix: Floats, spectrum: _Spectrum, amplitude: Floats, active: Bools
) -> tuple[Floats, Floats]:
    """Return the normal matrix and gradient of fluxes, velocity and sigma squared."""
    columns, weight, values = place.columns, spectrum.weight, spectrum.values
    n, n_free = amplitude.size, amplitude.size + 2
    whole, gradient = np.zeros((n_free, n_free)), np.zeros(n_free)
    whole[:n, :n] = matrix
    for k in range(weight.size):
        if weight[k] == 0.0:
            continue
        model = 0.0
        for g in range(n):
            model += amplitude[g] * columns[g, k]
        for i in range(n, n_free):
            slope = weight[k] * columns[i, k]
            gradient[i] += slope * (values[k] - model)
            for j in range(i + 1):
                if j >= n or active[j]:
                    whole[i, j] += slope * columns[j, k]
    for i in range(n, n_free):
        for j in range(i):
            whole[j, i] = whole[i, j]
    return whole, gradient


@njit(cache=True, nogil=True, error_model="numpy")
def _descend(
    spectrum: _Spectrum, lines: LineShapes, active: Bools, v: float, u: float, place: _Place
) -> tuple[float, float]:
    """Return velocity and sigma squared of least chi-square."""
    wave, power = spectrum.wave, spectrum.power
    n = place.ends.shape[0]
    _fill(wave, lines, v, u, place)
    matrix, vector = _normal(place, spectrum, active)
    amplitude = solved(matrix, vector)
    chi2, damping = power - vector @ amplitude, 1e-3
    for _ in range(_MAX_STEPS):
        _slopes(wave, lines, amplitude, v, u, place)
        whole, gradient = _whole(place, matrix, spectrum, amplitude, active)
        if u == 0.0 and gradient[n + 1] <= 0:
            whole, gradient = whole[: n + 1, : n + 1].copy(), gradient[: n + 1].copy()
        for i in range(n, gradient.size):
            whole[i, i] *= 1 + damping
        step = solved(whole, gradient)
        new_v, new_u = v + float(step[n]), u
        if abs(step[n]) > _LONGEST:
            new_v = v + math.copysign(_LONGEST, step[n])
        if abs(new_v) > MAX_VELOCITY:
            new_v = math.copysign(MAX_VELOCITY, new_v)
        if gradient.size > n + 1:
            new_u = min(max(u + step[n + 1], 0.0), MAX_SIGMA**2)
        small = abs(new_v - v) < 1e-3 and abs(new_u - u) < 1e-3 * (1.0 + math.sqrt(u))
        _fill(wave, lines, new_v, new_u, place)
        new_matrix, new_vector = _normal(place, spectrum, active)
        new_amplitude = solved(new_matrix, new_vector)
        new_chi2 = power - new_vector @ new_amplitude
        if new_chi2 <= chi2:
            v, u, chi2 = new_v, new_u, new_chi2
            matrix, amplitude = new_matrix, new_amplitude
            damping = max(0.2 * damping, 1e-9)
            if small:
                break
        else:
            _fill(wave, lines, v, u, place)
            damping *= 8.0
            if small or damping > 1e9:
                break
    return v, u
