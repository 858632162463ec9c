"""Mock cubes in the form of their surveys' files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.wcs import WCS

from pxdask.core.constants import FWHM_PER_SIGMA

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from pxdask.simulate.ifs import IfsObservation

_DO_NOT_USE, _NO_COVERAGE = 1 << 10, 1 << 0
"""Bits of MANGA_DRP3PIXMASK (Law et al. 2016, table B13)."""

_HUGE_ERROR = 1e10
"""Error of CALIFA's bad pixels, in its unit (Husemann et al. 2013, section 4.1)."""

_BANDS = {"G": 4770.0, "R": 6231.0, "I": 7625.0, "Z": 9134.0}
"""Effective wavelengths of the SDSS bands [Angstrom]; Fukugita et al. 1996."""


@dataclass(frozen=True, slots=True)
class Extension:
    """One HDU: its name (empty for a primary one), pixels or None, and further cards."""

    name: str
    data: NDArray[Any] | None
    header: dict[str, str | int | float]


def extensions(observed: IfsObservation) -> Iterator[Extension]:
    """Yield the HDUs of a cube's file, the primary first, as its survey lays them out.

    Each is made when it is asked for, so that they need not be in memory all at once.

    Notes
    -----
    MaNGA: LOGCUBE (Law et al. 2016, appendix B) with FLUX, IVAR, MASK, WAVE, SPECRES and the
    reconstructed PSFs. CALIFA: rscube (Sanchez et al. 2016, table 4) with the flux in the primary
    HDU, ERROR, ERRWEIGHT, BADPIX, FIBCOVER; its header does not state a unit.
    """
    makers = {"manga": _manga, "califa": _califa}
    return makers[observed.spec.kind](observed)


def _manga(observed: IfsObservation) -> Iterator[Extension]:
    """Yield the HDUs of a LOGCUBE."""
    spec, seen = observed.spec, observed.footprint & ~observed.bad
    widths: dict[str, str | int | float] = {f"{band}FWHM": spec.psf_fwhm for band in _BANDS}
    common = {**_axes(observed), "BUNIT": "1E-17 erg/s/cm^2/Ang/spaxel"}
    facts: dict[str, str | int | float] = {
        "TELESCOP": "SDSS 2.5-M",
        "INSTRUME": "MaNGA",
        "OBJECT": observed.galaxy,
        "EBVGAL": observed.ebv,
    }
    yield Extension("", None, {**facts, **widths})
    yield Extension("FLUX", observed.flux, {**common, **facts, **widths})
    weight = np.zeros(observed.flux.shape, np.float32)
    np.divide(1.0, observed.sigma, out=weight, where=seen)
    np.square(weight, out=weight)
    yield Extension("IVAR", weight, dict(common))
    mask = np.where(observed.bad, np.int32(_DO_NOT_USE), np.int32(0))
    mask |= np.where(observed.footprint, np.int32(0), np.int32(_DO_NOT_USE | _NO_COVERAGE))
    yield Extension("MASK", mask, _axes(observed))
    yield Extension("WAVE", spec.file_wave, {})
    yield Extension("SPECRES", spec.wave / spec.lsf, {})
    for band in _BANDS:
        yield Extension(f"{band}PSF", _psf_image(observed), _axes(observed, spectral=False))


def _califa(observed: IfsObservation) -> Iterator[Extension]:
    """Yield the HDUs of an rscube."""
    bad = observed.bad | ~observed.footprint
    axes = _axes(observed)
    facts = {"INSTRUME": "PMAS/PPAK", "OBJECT": observed.galaxy}
    yield Extension("", np.where(bad, np.float32(0), observed.flux), {**axes, **facts})
    yield Extension("ERROR", np.where(bad, np.float32(_HUGE_ERROR), observed.sigma), dict(axes))
    ones = np.ones(bad.shape, np.float32)
    yield Extension("ERRWEIGHT", ones, dict(axes))
    yield Extension("BADPIX", bad.astype(np.uint8), dict(axes))
    cover = np.broadcast_to(3 * observed.footprint.astype(np.uint8), bad.shape)
    yield Extension("FIBCOVER", cover, dict(axes))


def _axes(observed: IfsObservation, *, spectral: bool = True) -> dict[str, str | int | float]:
    """Return the cards of the axes."""
    spec = observed.spec
    wcs = WCS(observed.wcs)
    cards: dict[str, str | int | float] = {
        "RADESYS": "ICRS",
        **{f"CTYPE{i + 1}": str(wcs.wcs.ctype[i]) for i in range(2)},
        **{f"CUNIT{i + 1}": "deg" for i in range(2)},
        **{f"CRVAL{i + 1}": float(wcs.wcs.crval[i]) for i in range(2)},
        **{f"CRPIX{i + 1}": float(wcs.wcs.crpix[i]) for i in range(2)},
        **{f"CD{i + 1}_{i + 1}": float(wcs.wcs.cdelt[i]) for i in range(2)},
    }
    if not spectral:
        return cards
    step = spec.wave_step * (spec.wave_start * np.log(10.0) if spec.logarithmic else 1.0)
    return {
        **cards,
        "CTYPE3": "WAVE-LOG" if spec.logarithmic else "AWAV" if spec.air else "WAVE",
        "CUNIT3": "Angstrom",
        "CRVAL3": spec.wave_start,
        "CRPIX3": 1.0,
        "CD3_3": float(step),
    }


def _psf_image(observed: IfsObservation) -> NDArray[np.float32]:
    """Return the PSF on spaxels, of unit sum."""
    spec = observed.spec
    y, x = (axis - (n - 1) // 2 for axis, n in zip(np.indices(spec.shape), spec.shape, strict=True))
    width = spec.psf_fwhm / spec.pixel_scale / FWHM_PER_SIGMA
    image = np.exp(-0.5 * (x**2 + y**2) / width**2)
    return np.asarray(image / image.sum(), dtype=np.float32)
