"""Images of a mock galaxy as surveys deliver them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from astropy.units import Unit
from astropy.wcs import WCS

from pxdask.simulate.sampling import resample
from pxdask.simulate.surveys import sky_sigma, ujy_per_unit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import xarray as xr
    from numpy.typing import NDArray

    from pxdask.simulate.surveys import BandSpec, SurveySpec, UncertaintyKind

Header = dict[str, str | int | float]

_POINTING = 60.0
"""Largest offset of a header's reference point from the galaxy, on either axis [arcsec]."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One band's image and uncertainty, ready to be written to two files.

    Attributes
    ----------
    band : str
        Name of the band, unique over all surveys.
    image : (ny, nx) float32
        Sky-subtracted image in the unit of its BUNIT, or of its zero point.
    uncertainty : (ny, nx) float32
        Of the noise that is in the image.
    kind : {"sigma", "variance", "weight"}
        What ``uncertainty`` holds, in the image's unit; a weight is 1 / variance.
    header, uncertainty_header : mapping
        FITS keywords of the two files, without those that describe the array.
    psf_fwhm : float
        Width of the PSF [arcsec].
    zero_point : float or None
        AB magnitude of one unit [mag]; None where the unit is one of surface brightness.
    """

    band: str
    image: NDArray[np.float32]
    uncertainty: NDArray[np.float32]
    kind: UncertaintyKind
    header: Header
    uncertainty_header: Header
    psf_fwhm: float
    zero_point: float | None


def observe(
    truth: xr.Dataset,
    survey: SurveySpec,
    *,
    rng: np.random.Generator,
    size: float = 210.0,
    noise: bool = True,
) -> Iterator[Observation]:
    """Yield each band of a survey as it would see the galaxy.

    Parameters
    ----------
    truth : xarray.Dataset
        Of schema `pxdask.simulate.truth.TRUTH`, with the survey's bands.
    survey : SurveySpec
    rng : numpy.random.Generator
        Draws pointings and noise; equal generators give equal bytes.
    size : float
        Side of the images [arcsec].
    noise : bool
        Whether the image is noisy; the uncertainty is that of a noisy one either way.

    Yields
    ------
    observation : Observation

    Raises
    ------
    DataError
        If the truth is too coarse for a band's PSF.

    Notes
    -----
    Noise: where the band has a gain, photons of source and sky are drawn from a Poisson
    distribution whose sky level makes the noise of empty sky the survey's (for a CCD it
    stands for read noise too); else Gaussian sky noise alone. The uncertainty is the
    noise's true one. Sky and zero points are exact: no residual background.
    """
    n_pixel = round(size / survey.pixel_scale)
    light = truth["flux"].sel(band=[band.name for band in survey.bands])
    for band, plane in zip(survey.bands, light.to_numpy().astype(np.float64), strict=True):
        header = _grid(survey, ra=truth.attrs["ra"], dec=truth.attrs["dec"], n=n_pixel, rng=rng)
        flux = resample(
            plane,
            source=WCS(truth.attrs["wcs"]),
            target=WCS(header),
            shape=(n_pixel, n_pixel),
            psf_fwhm=band.psf_fwhm,
        )
        scale = ujy_per_unit(band, pixel_scale=survey.pixel_scale)
        signal = np.maximum(flux, 0.0) / scale  # the spline's swings below zero are not light
        sky = sky_sigma(band, survey) / scale
        variance = sky**2 + (signal / band.gain if band.gain is not None else 0.0 * signal)
        image = _noisy(signal, sky=sky, gain=band.gain, rng=rng) if noise else signal
        yield Observation(
            band=band.name,
            image=image.astype(np.float32),
            uncertainty=_uncertainty(variance, kind=survey.uncertainty),
            kind=survey.uncertainty,
            header=_cards(band, survey, bunit=band.unit, galaxy=truth.attrs["galaxy"], grid=header),
            uncertainty_header=_cards(
                band,
                survey,
                bunit=_uncertainty_unit(band.unit, kind=survey.uncertainty),
                galaxy=truth.attrs["galaxy"],
                grid=header,
            ),
            psf_fwhm=band.psf_fwhm,
            zero_point=band.zero_point,
        )


def _noisy(
    signal: NDArray[np.float64], *, sky: float, gain: float | None, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return a signal with noise; all in delivered units."""
    if gain is None:
        return signal + rng.normal(0.0, sky, signal.shape)
    background = sky**2 * gain
    return rng.poisson((signal + background) * gain) / gain - background


def _uncertainty(variance: NDArray[np.float64], *, kind: UncertaintyKind) -> NDArray[np.float32]:
    """Return a variance as the kind of uncertainty the survey delivers."""
    if kind == "variance":
        return variance.astype(np.float32)
    if kind == "weight":
        return (1.0 / variance).astype(np.float32)
    return np.sqrt(variance).astype(np.float32)


def _uncertainty_unit(unit: str, *, kind: UncertaintyKind) -> str:
    """Return the unit of the uncertainty image."""
    power = {"sigma": 1, "variance": 2, "weight": -2}[kind]
    return unit if power == 1 else str(Unit(unit) ** power)


def _grid(survey: SurveySpec, *, ra: float, dec: float, n: int, rng: np.random.Generator) -> Header:
    """Return the keywords of an image's grid.

    The galaxy falls within half a pixel of the image's centre. The reference point lies
    elsewhere, as in frames cut from a survey, and is where the projection is tangent.
    """
    x, y = (n - 1) / 2 + rng.uniform(-0.5, 0.5, 2)
    east, north = rng.uniform(-_POINTING, _POINTING, 2) / 3600.0
    scale, angle = survey.pixel_scale / 3600.0, np.deg2rad(survey.rotation)
    header: Header = {
        "RADESYS": "ICRS",
        "EQUINOX": 2000.0,
        "CTYPE1": f"RA---{survey.projection}",
        "CTYPE2": f"DEC--{survey.projection}",
        "CUNIT1": "deg",
        "CUNIT2": "deg",
        "CRVAL1": float((ra + east / np.cos(np.deg2rad(dec))) % 360.0),
        "CRVAL2": float(dec + north),
        "CRPIX1": 0.0,
        "CRPIX2": 0.0,
        **_matrix(survey.matrix, scale=scale, angle=float(angle)),
    }
    at_x, at_y = WCS(header).wcs_world2pix(ra, dec, 1)
    return {**header, "CRPIX1": float(x + 1.0 - at_x), "CRPIX2": float(y + 1.0 - at_y)}


def _matrix(form: str, *, scale: float, angle: float) -> Header:
    """Return the keywords of scale and rotation; ``angle`` from north through east [rad]."""
    cos, sin = float(np.cos(angle)), float(np.sin(angle))
    if form == "CROTA":  # turns the axes from x to y, thus from north through west
        return {"CDELT1": -scale, "CDELT2": scale, "CROTA2": -float(np.rad2deg(angle))}
    turn = (("1_1", -cos), ("1_2", sin), ("2_1", sin), ("2_2", cos))
    if form == "CD":
        return {f"CD{place}": scale * value for place, value in turn}
    return {"CDELT1": scale, "CDELT2": scale, **{f"PC{place}": value for place, value in turn}}


def _cards(
    band: BandSpec, survey: SurveySpec, *, bunit: str, galaxy: str, grid: Mapping[str, object]
) -> Header:
    """Return the keywords of one file."""
    cards: Header = {
        "OBJECT": galaxy,
        "TELESCOP": survey.telescope,
        "INSTRUME": survey.instrument,
        "FILTER": band.label,
        "EXPTIME": band.exposure,
        "BUNIT": bunit,
    }
    if band.zero_point is not None:
        cards["ABZP"] = round(band.zero_point, 6)
    return {**cards, **grid}  # type: ignore[dict-item]
