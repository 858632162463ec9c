"""Images, cubes of spectra, and what is measured on them."""

from __future__ import annotations

from pxdask.core.schema.form import Schema, Var
from pxdask.core.schema.shared import BAND, PER_ANGSTROM

RAW = Schema(
    "raw",
    1,
    {
        "image": Var(("y", "x"), "float32", "", "image in the unit that attrs['bunit'] names"),
        "uncertainty": Var(
            ("y", "x"), "float32", "", "uncertainty of the kind in attrs", required=False
        ),
        "exposure": Var(("y", "x"), "float32", "s", "exposure time", required=False),
        "calibration": Var(("y", "x"), "float64", "", "image's unit per DN", required=False),
        "sky": Var(("y", "x"), "float64", "", "sky that was subtracted [DN]", required=False),
        "psf": Var(("psf_y", "psf_x"), "float64", "", "PSF or kernel", required=False),
    },
)
IMAGE = Schema(
    "image",
    1,
    {
        **BAND,
        "flux": Var(("band", "y", "x"), "float32", "uJy", "flux density per pixel"),
        "flux_err": Var(("band", "y", "x"), "float32", "uJy", "1-sigma uncertainty of flux"),
        "flags": Var(("band", "y", "x"), "uint16", "", "quality flags"),
        "psf_fwhm": Var(("band",), "float64", "arcsec", "PSF width after matching"),
        "noise_area": Var(("band",), "float64", "pix", "pixels over which noise is correlated"),
        "background": Var(
            ("band",), "float64", "uJy", "median sky of a delivered pixel", required=False
        ),
        "background_rms": Var(
            ("band",), "float64", "uJy", "its scatter in delivered pixels", required=False
        ),
        "region": Var(("y", "x"), "bool", "", "pixels of the galaxy", required=False),
    },
)
IFS = Schema(
    "ifs",
    1,
    {
        "wave": Var(("wave",), "float64", "Angstrom", "wavelength, observed frame, vacuum"),
        "lsf_fwhm": Var(("wave",), "float64", "Angstrom", "width of the line spread function"),
        "psf_fwhm": Var(("wave",), "float64", "arcsec", "width of the point spread function"),
        "flux": Var(("wave", "y", "x"), "float32", PER_ANGSTROM, "flux density per own pixel"),
        "flux_err": Var(("wave", "y", "x"), "float32", PER_ANGSTROM, "1-sigma uncertainty"),
        "flags": Var(("wave", "y", "x"), "uint16", "", "quality flags"),
    },
)
CUBE = Schema(
    "cube",
    1,
    {
        "wave": Var(("wave",), "float64", "Angstrom", "wavelength, observed frame, vacuum"),
        "lsf_fwhm": Var(("wave",), "float64", "Angstrom", "width of the line spread function"),
        "flux": Var(("wave", "y", "x"), "float32", PER_ANGSTROM, "flux density per pixel"),
        "flux_err": Var(("wave", "y", "x"), "float32", PER_ANGSTROM, "1-sigma uncertainty"),
        "flags": Var(("wave", "y", "x"), "uint16", "", "quality flags"),
        "region": Var(("y", "x"), "bool", "", "pixels that have a spectrum", required=False),
        "noise_area": Var(
            ("wave",), "float64", "pix", "pixels over which noise is correlated", required=False
        ),
        "polynomial": Var(
            ("order", "y", "x"),
            "float32",
            "",
            "Legendre factor that brought the spectrum to the images' light",
            required=False,
        ),
        "match_chi2": Var(
            ("y", "x"), "float32", "", "chi-square of the photometry's best model", required=False
        ),
    },
)
PHOTOMETRY = Schema(
    "photometry",
    1,
    {
        **BAND,
        "aperture": Var(("aperture",), "str", "", "name of the aperture"),
        "radius": Var(("aperture",), "float64", "arcsec", "semi-major axis", required=False),
        "flux": Var(("aperture", "band"), "float64", "uJy", "flux density in the aperture"),
        "flux_err": Var(("aperture", "band"), "float64", "uJy", "1-sigma uncertainty of flux"),
        "area": Var(("aperture",), "float64", "pix", "area of the aperture"),
        "covered": Var(("aperture", "band"), "float64", "", "part of the area with good pixels"),
        "flags": Var(("aperture", "band"), "uint16", "", "quality flags"),
    },
)
PROFILE = Schema(
    "profile",
    1,
    {
        **BAND,
        "radius": Var(("ring",), "float64", "arcsec", "semi-major axis, mean of the pixels"),
        "brightness": Var(("ring", "band"), "float64", "uJy arcsec-2", "mean surface brightness"),
        "brightness_err": Var(
            ("ring", "band"), "float64", "uJy arcsec-2", "1-sigma uncertainty of brightness"
        ),
        "snr": Var(("ring", "band"), "float64", "", "signal-to-noise ratio of the ring"),
        "pixel_snr": Var(("ring", "band"), "float64", "", "median over single pixels"),
        "n_pix": Var(("ring", "band"), "int32", "", "good pixels in the ring"),
    },
)
