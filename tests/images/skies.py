"""Grids and raw datasets that the image tests share."""

import numpy as np
import xarray as xr
from astropy.wcs import WCS

from pxdask.core.config import BandConfig
from pxdask.core.schema import RAW
from pxdask.images.grid import Grid, wcs_cards

RA, DEC = 53.1, -27.8


def grid(scale, n, *, angle=0.0, flip=False, x=None, y=None):
    """A square grid [arcsec, pix, radian] whose pixel (x, y), default the middle, is at RA, DEC."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [RA, DEC]
    wcs.wcs.crpix = [(n - 1) / 2 + 1 if v is None else v + 1 for v in (x, y)]
    cos, sin = np.cos(angle), np.sin(angle)
    matrix = np.array([[-cos, sin], [sin, cos]]) * scale / 3600
    wcs.wcs.cd = matrix @ np.diag([-1.0, 1.0]) if flip else matrix
    return Grid(wcs_cards(wcs), (n, n))


def stars(on, *, fwhm, positions, fluxes):
    """Gaussian stars [arcsec offsets east, north; flux in total] on a grid, sampled at pixels."""
    wcs = on.to_wcs()
    y, x = np.mgrid[: on.shape[0], : on.shape[1]]
    sky = wcs.pixel_to_world(x, y)
    east = (sky.ra.deg - RA) * np.cos(np.radians(DEC)) * 3600
    north = (sky.dec.deg - DEC) * 3600
    sigma = fwhm / 2.3548200450309493
    norm = on.pixel_area / (2 * np.pi * sigma**2)
    image = np.zeros(on.shape)
    for (e, n), flux in zip(positions, fluxes, strict=True):
        image += flux * norm * np.exp(-((east - e) ** 2 + (north - n) ** 2) / (2 * sigma**2))
    return image


def raw(on, image, uncertainty, *, psf=None, kernel=None, fwhm=None, **attrs):
    """A raw/1 dataset in uJy with errors as sigma unless attrs say otherwise."""
    psf_plane = psf if psf is not None else kernel
    variables = {"image": (("y", "x"), np.asarray(image, np.float32), RAW.attrs("image"))}
    variables["uncertainty"] = (
        ("y", "x"),
        np.broadcast_to(np.asarray(uncertainty, np.float32), on.shape).copy(),
        RAW.attrs("uncertainty"),
    )
    if psf_plane is not None:
        variables["psf"] = (("psf_y", "psf_x"), np.asarray(psf_plane, float), RAW.attrs("psf"))
    kind = "fwhm" if fwhm is not None else "image" if psf is not None else "kernel"
    base = {
        "schema": RAW.tag,
        "wcs": on.wcs,
        "bunit": "uJy",
        "uncertainty_kind": "sigma",
        "psf_kind": kind,
        "path": "sky.fits",
    }
    if fwhm is not None:
        base["psf_fwhm"] = fwhm
    base.update(attrs)
    if "zero_point" in attrs:
        del base["bunit"]
    return xr.Dataset(variables, attrs=base)


def band(name="r", *, fwhm=1.0, **changes):
    """A band's configuration; its paths lead nowhere."""
    values = {
        "name": name,
        "filter": "sdss_r",
        "image": "sky.fits",
        "uncertainty": {"path": "err.fits"},
        "psf": {"fwhm": fwhm},
    }
    return BandConfig.model_validate({**values, **changes})
