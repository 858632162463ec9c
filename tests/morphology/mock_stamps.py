"""Stamps of made-up galaxies, drawn by other means than the engines': on fine pixels."""

import numpy as np
import xarray as xr
from astropy.wcs import WCS
from scipy.signal import fftconvolve
from scipy.special import gamma, gammaincinv

from pxdask.core.schema import STAMP
from pxdask.morphology.scene import make_scene

RA, DEC = 150.0, 2.0
OVERSAMPLING = 5
MARGIN = 12
"""Pixels around a stamp whose light the PSF brings into it."""


def gaussian_psf(side, *, fwhm):
    y, x = np.indices((side, side)) - (side - 1) / 2
    psf = np.exp(-4 * np.log(2) * (x**2 + y**2) / fwhm**2)
    return psf / psf.sum()


def sersic(radius, *, index):
    """Brightness of unit flux and r_eff (Graham & Driver 2005, equations 1 and 4)."""
    b = gammaincinv(2 * index, 0.5)
    total = 2 * np.pi * index * b ** (-2 * index) * gamma(2 * index)
    return np.exp(-b * radius ** (1 / index)) / total


def mock_stamp(
    band,
    pivot_wave,
    *,
    rng,
    side=41,
    scale=0.2,
    flux=100.0,
    r_eff=1.0,
    index=1.5,
    ellip=0.4,
    theta=30.0,
    noise=0.05,
    fwhm=3.0,
    turn=0.0,
):
    """Schema stamp/1 of a Sersic galaxy; r_eff [arcsec], fwhm [pix], turn of the pixels [deg]."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval, wcs.wcs.crpix = [RA, DEC], [(side + 1) / 2] * 2
    cos, sin = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    sky = scale * np.array([[-cos, sin], [sin, cos]])
    wcs.wcs.cd = sky / 3600
    wide = side + 2 * MARGIN
    y, x = (np.indices([wide * OVERSAMPLING] * 2) + 0.5) / OVERSAMPLING - wide / 2
    east, north = sky[0, 0] * x + sky[0, 1] * y, sky[1, 0] * x + sky[1, 1] * y
    angle = np.radians(theta)
    along = north * np.cos(angle) + east * np.sin(angle)
    across = east * np.cos(angle) - north * np.sin(angle)
    radius = np.hypot(along, across / (1 - ellip)) / r_eff
    image = flux * scale**2 * sersic(radius, index=index) / (r_eff**2 * (1 - ellip))
    fine = gaussian_psf(21 * OVERSAMPLING, fwhm=OVERSAMPLING * fwhm)
    # the PSF holds the pixel's response: what is seen is the value at the pixel's middle
    middle = slice(MARGIN * OVERSAMPLING + OVERSAMPLING // 2, -MARGIN * OVERSAMPLING, OVERSAMPLING)
    image = fftconvolve(image, fine, mode="same")[middle, middle]
    image = image + noise * rng.standard_normal(image.shape)
    psf = gaussian_psf(21, fwhm=fwhm)
    planes = {
        "flux": image.astype("f4"),
        "flux_err": np.full(image.shape, noise, "f4"),
        "masked": np.zeros(image.shape, dtype=bool),
    }
    stamp = xr.Dataset(
        {name: (("y", "x"), plane, STAMP.attrs(name)) for name, plane in planes.items()}
        | {"psf": (("psf_y", "psf_x"), psf, STAMP.attrs("psf"))},
        attrs={
            "schema": STAMP.tag,
            "band": band,
            "pivot_wave": pivot_wave,
            "wcs": wcs.to_header_string(),
            "pixel_scale": scale,
        },
    )
    return STAMP.validate(stamp)


def mock_scene(config, *, seed=5, bands=({}, {"r_eff": 0.9}), **common):
    """A scene of bands that differ as told."""
    rng = np.random.default_rng(seed)
    stamps = {
        f"band_{k}": mock_stamp(f"band_{k}", 4000.0 + 2000.0 * k, rng=rng, **(common | own))
        for k, own in enumerate(bands)
    }
    return make_scene(stamps, ra=RA, dec=DEC, config=config, galaxy={"id": "mock"})
