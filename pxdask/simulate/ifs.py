"""Integral-field cubes of a mock galaxy, from the truth that its images are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from astropy.wcs import WCS
from scipy.ndimage import gaussian_filter

from pxdask.core.constants import C_ANGSTROM_S
from pxdask.core.errors import DataError
from pxdask.core.flags import Flag, flag_attrs
from pxdask.core.schema import IFS
from pxdask.images.extinction import extinction_factor
from pxdask.simulate.basis import spectral_basis
from pxdask.simulate.sampling import resample
from pxdask.sps.observed import UNIT, Observer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from pxdask.core.models import ModelConfig
    from pxdask.simulate.basis import SpectralBasis
    from pxdask.simulate.ifus import IfsSpec

    Floats = NDArray[np.float64]
    Mismatch = Callable[[Floats, Floats, Floats], Floats]

_BLOCK = 128
"""Wavelengths worked on at once: bounds the memory beyond that of the result."""

_R_PIVOT = 6200.0
"""Wavelength at which depths are quoted [Angstrom]; near the pivot of the SDSS r band."""

_SKY_MAG = 21.5
"""Surface brightness of a dark sky in r [AB mag arcsec-2], whose photons make its noise."""

_GLITCH = 100.0
"""Height of a bad pixel, such as a cosmic ray's trace [sigma]."""


@dataclass(frozen=True, slots=True)
class SmoothMismatch:
    """An error of flux calibration that changes slowly with wavelength and place.

    Called with wavelengths (n_wave,) [Angstrom] and offsets from the galaxy to the east and
    north (...) [arcsec], it gives the factor (n_wave, ...) on the true flux.

    Attributes
    ----------
    amplitude : float
        Largest difference from 1 anywhere.
    coefficients : (4, 3) float64
        Of Legendre polynomials in wavelength to the third order, each linear in place: at the
        galaxy, and its slopes east and north. Their absolute values sum to 1.
    wave_range : (float, float)
        Ends of the Legendre polynomials' range [Angstrom].
    radius : float
        Distance at which the slopes have their full effect, and beyond [arcsec].
    """

    amplitude: float
    coefficients: Floats
    wave_range: tuple[float, float]
    radius: float

    def __call__(self, wave: Floats, east: Floats, north: Floats) -> Floats:
        """Return the factor, (n_wave, ...) [1]."""
        low, high = self.wave_range
        x = np.clip(2 * (wave - low) / (high - low) - 1, -1, 1)
        order = np.polynomial.legendre.legvander(x, self.coefficients.shape[0] - 1)
        place = np.stack(
            [np.ones_like(east), *(np.tanh(side / self.radius) for side in (east, north))]
        )
        change = np.tensordot(order @ self.coefficients, place, axes=1)
        return np.asarray(1.0 + self.amplitude * change)


def smooth_mismatch(
    rng: np.random.Generator,
    *,
    amplitude: float = 0.2,
    wave_range: tuple[float, float] = (3600.0, 10400.0),
    radius: float = 15.0,
) -> SmoothMismatch:
    """Return a random mismatch that nowhere exceeds an amplitude; see `SmoothMismatch`."""
    coefficients = rng.normal(size=(4, 3))
    coefficients /= np.abs(coefficients).sum()
    return SmoothMismatch(amplitude, coefficients, wave_range, radius)


@dataclass(frozen=True, eq=False)
class IfsObservation:
    """A cube as observed, before it takes the form of a survey's file.

    Attributes
    ----------
    spec : IfsSpec
    galaxy : str
    wcs : str
        FITS header of the celestial grid.
    flux, sigma : (n_wave, ny, nx) float32
        Per spaxel and wavelength, [spec.unit]; 0 and NaN beyond the footprint.
    bad : (n_wave, ny, nx) bool
        Masked pixels within the footprint.
    footprint : (ny, nx) bool
        Spaxels that fibres have seen.
    ebv : float
        E(B-V) of the Milky Way that is in the data [mag].
    mismatch : callable or None
        What true fluxes were multiplied by; see `SmoothMismatch`.
    """

    spec: IfsSpec
    galaxy: str
    wcs: str
    flux: NDArray[np.float32]
    sigma: NDArray[np.float32]
    bad: NDArray[np.bool_]
    footprint: NDArray[np.bool_]
    ebv: float
    mismatch: Mismatch | None

    def slices(self, start: int = 0, stop: int | None = None) -> xr.Dataset:
        """Return some wavelengths as a reader gives them, schema ifs/1."""
        part, spec = slice(start, stop), self.spec
        bad = self.bad[part] | ~self.footprint
        flags = np.where(bad, int(Flag.MASKED), 0).astype(np.uint16)
        scale = np.float32(spec.unit / UNIT)
        of_wave = {
            "lsf_fwhm": spec.lsf[part],
            "psf_fwhm": np.full(flags.shape[0], spec.psf_fwhm),
        }
        planes = {"flux": self.flux[part] * scale, "flux_err": self.sigma[part] * scale}
        dataset = xr.Dataset(
            {
                **{name: (("wave",), value, IFS.attrs(name)) for name, value in of_wave.items()},
                **{
                    name: (("wave", "y", "x"), np.where(bad, np.float32(np.nan), value),
                           IFS.attrs(name))
                    for name, value in planes.items()
                },
                "flags": (("wave", "y", "x"), flags, {**IFS.attrs("flags"), **flag_attrs()}),
            },
            coords={"wave": ("wave", spec.wave[part], IFS.attrs("wave"))},
            attrs={
                "schema": IFS.tag,
                "wcs": self.wcs,
                "kind": spec.kind,
                "ebv": self.ebv,
                "noise_area": spec.noise_area,
                "bunit": f"{spec.unit:g} erg s-1 cm-2 Angstrom-1",
                "air_converted": int(spec.air),
                "psf": f"Gaussian of {spec.psf_fwhm} arcsec",
            },
        )  # fmt: skip
        return IFS.validate(dataset)


def observe_ifs(
    truth: xr.Dataset,
    spec: IfsSpec,
    *,
    ssp: xr.Dataset,
    settings: ModelConfig,
    redshift: float,
    rng: np.random.Generator,
    mismatch: Mismatch | None = None,
    ebv: float = 0.0,
    noise: bool = True,
) -> IfsObservation:
    """Return the cube of a mock galaxy, from the truth of its images.

    Parameters
    ----------
    truth : xarray.Dataset
        Of schema `pxdask.simulate.truth.TRUTH`.
    spec : IfsSpec
        Of `pxdask.simulate.ifus.IFUS`, or another.
    ssp, settings, redshift
        Models that the truth was made with.
    rng : numpy.random.Generator
        Draws pointing, noise and bad pixels; equal generators give equal bytes.
    mismatch : callable, optional
        Error of the flux calibration; see `SmoothMismatch`.
    ebv : float
        E(B-V) of the Milky Way, which dims the cube unless its pipeline corrects it [mag].
    noise : bool
        Whether the cube is noisy and has bad pixels; errors are those of a noisy one either way.

    Returns
    -------
    observation : IfsObservation

    Raises
    ------
    DataError
        If the PSF is too narrow for the truth's pixels, or a model has no light.

    Notes
    -----
    Stars and gas do not move. Noise is that of the sky, growing with the photons of the
    source, the same at all wavelengths; it is correlated between neighbouring spaxels (a
    Gaussian autocorrelation of the given area), not between wavelengths.
    """
    grid, (east, north) = _grid(truth, spec, rng)
    maker = Observer(
        ssp, settings=settings, redshifts=(redshift, redshift), wave=spec.wave,
        lsf_fwhm=spec.lsf,
    )  # fmt: skip
    basis = _sampled(truth, spectral_basis(truth, maker), grid=grid, spec=spec)
    inside = _hexagon(east, north, diameter=spec.diameter)
    if not np.any(inside):
        raise DataError(f"a hexagon of {spec.diameter} arcsec holds no spaxel of the cube")
    dust = 0.0 if spec.dereddened else ebv
    shape = (spec.n_wave, *spec.shape)
    flux, sigma = np.zeros(shape, np.float32), np.full(shape, np.nan, np.float32)
    bad = np.zeros(shape, dtype=bool)
    for block, light in _blocks(basis, spec):
        seen = light
        if mismatch is not None:
            seen = seen * mismatch(spec.wave[block], east, north)
        if dust > 0:
            seen = seen / extinction_factor(spec.wave[block], ebv=dust)[:, None, None]
        error = _error(seen, spec)
        if noise:
            seen = seen + error * _noise(error.shape, spec.noise_area, rng)
            bad[block] = inside & (rng.random(seen.shape, np.float32) < spec.bad_fraction)
            seen = np.where(bad[block], seen + _GLITCH * error, seen)
        flux[block] = np.where(inside, seen, 0.0)
        sigma[block] = np.where(inside, error, np.nan)
    return IfsObservation(
        spec=spec, galaxy=str(truth.attrs["galaxy"]), wcs=grid, flux=flux, sigma=sigma, bad=bad,
        footprint=inside, ebv=dust, mismatch=mismatch,
    )  # fmt: skip


def _grid(
    truth: xr.Dataset, spec: IfsSpec, rng: np.random.Generator
) -> tuple[str, tuple[Floats, Floats]]:
    """Return the header of a grid, north up, the galaxy within half a spaxel of its middle.

    With it, how far each spaxel is from the galaxy, east and north [arcsec].
    """
    ny, nx = spec.shape
    x, y = (rng.uniform(-0.5, 0.5) + (n - 1) / 2 for n in (nx, ny))
    scale = spec.pixel_scale / 3600.0
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.radesys = "ICRS"
    wcs.wcs.crval = [truth.attrs["ra"], truth.attrs["dec"]]
    wcs.wcs.crpix = [x + 1.0, y + 1.0]
    wcs.wcs.cdelt = [-scale, scale]
    rows, columns = np.indices(spec.shape)
    east = np.asarray(-spec.pixel_scale * (columns - x), dtype=np.float64)
    north = np.asarray(spec.pixel_scale * (rows - y), dtype=np.float64)
    return str(wcs.to_header_string()), (east, north)


def _sampled(truth: xr.Dataset, basis: SpectralBasis, *, grid: str, spec: IfsSpec) -> SpectralBasis:
    """Return what the spaxels see of a truth's spectra, in units of the file."""
    planes = resample(
        basis.planes,
        source=WCS(truth.attrs["wcs"]),
        target=WCS(grid),
        shape=spec.shape,
        psf_fwhm=spec.psf_fwhm,
    )
    return type(basis)(planes * (UNIT / spec.unit), basis.spectra)


def _blocks(basis: SpectralBasis, spec: IfsSpec) -> Iterator[tuple[slice, Floats]]:
    """Yield blocks of wavelengths and the light there, (n, ny, nx)."""
    for start in range(0, spec.n_wave, _BLOCK):
        block = slice(start, start + _BLOCK)
        yield block, np.tensordot(basis.spectra[:, block].T, basis.planes, axes=1)


def _hexagon(east: Floats, north: Floats, *, diameter: float) -> NDArray[np.bool_]:
    """Return the places within a hexagon with corners to the east and west."""
    height = diameter * 3**0.5 / 4
    slanted = np.abs(east) * 3**0.5 / 2 + np.abs(north) / 2
    return np.asarray((np.abs(north) <= height) & (slanted <= height))


def _error(light: Floats, spec: IfsSpec) -> Floats:
    """Return the 1-sigma error where there is light, both in units of the file."""
    in_unit = spec.pixel_scale**2 * UNIT / spec.unit
    # AB magnitudes to erg s-1 cm-2 Angstrom-1 (Oke & Gunn 1983, ApJ 266, 713)
    sky = 10.0 ** (-0.4 * (_SKY_MAG + 48.60)) * C_ANGSTROM_S / _R_PIVOT**2 / UNIT * in_unit
    return np.asarray(spec.noise * in_unit * np.sqrt(1.0 + np.maximum(light, 0.0) / sky))


def _noise(shape: tuple[int, ...], area: float, rng: np.random.Generator) -> Floats:
    """Return noise of unit variance, correlated over an area of each slice [pix]."""
    white = rng.standard_normal(shape)
    if area <= 1:
        return white
    width = float(np.sqrt(area / (4 * np.pi)))
    point = np.zeros(shape[1:])
    point[shape[1] // 2, shape[2] // 2] = 1.0
    gain = np.sqrt(np.sum(gaussian_filter(point, width, mode="wrap") ** 2))
    blurred = gaussian_filter(white, (0.0, width, width), mode="wrap")
    return np.asarray(blurred / gain)
