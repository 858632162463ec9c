"""Stamps, Sersic models and radial profiles."""

from __future__ import annotations

from pxdask.core.schema.form import Schema, Var
from pxdask.core.schema.shared import BAND, QUANTILE

STAMP = Schema(
    "stamp",
    1,
    {
        "flux": Var(("y", "x"), "float32", "uJy", "flux density per own pixel; NaN where missing"),
        "flux_err": Var(("y", "x"), "float32", "uJy", "1-sigma uncertainty of flux"),
        "masked": Var(("y", "x"), "bool", "", "pixels that count for nothing"),
        "psf": Var(("psf_y", "psf_x"), "float64", "", "PSF on the stamp's pixels, of sum one"),
    },
)
"""One band on its own pixels: attrs band, pivot_wave [Angstrom], wcs (header text), pixel_scale
[arcsec]."""
MORPHOLOGY = Schema(
    "morphology",
    1,
    {
        **BAND,
        **QUANTILE,
        "source": Var(("source",), "str", "", "galaxy, or number of a neighbour"),
        "wave": Var(("wave",), "float64", "Angstrom", "wavelengths of the smooth functions"),
        "data": Var(("band", "y", "x"), "float32", "uJy", "what was fitted; NaN where masked"),
        "error": Var(("band", "y", "x"), "float32", "uJy", "its 1-sigma uncertainty"),
        "model": Var(("band", "y", "x"), "float32", "uJy", "best model, sky included"),
        "wcs": Var(("band",), "str", "", "header of the band's stamp"),
        "pixel_scale": Var(("band",), "float64", "arcsec", "side of the band's pixels"),
        "chi2": Var(("band",), "float64", "", "reduced chi-square of the best model"),
        "n_pix": Var(("band",), "int32", "", "pixels fitted"),
        "snr": Var(("source", "band"), "float64", "", "total flux over its error"),
        "n_steps": Var((), "int32", "", "steps to the best model"),
        "flags": Var(("source",), "uint16", "", "quality flags"),
    },
    each=Var(("source", "band", "quantile"), "float64", "", "posterior quantiles of a parameter"),
    suffixes={
        "_mean": Var(("source", "band"), "float64", "", "posterior mean"),
        "_std": Var(("source", "band"), "float64", "", "posterior standard deviation"),
        "_best": Var(("source", "band"), "float64", "", "value of the best model"),
        "_curve": Var(("source", "wave", "quantile"), "float64", "", "smooth function, quantiles"),
        "_samples": Var(("source", "band", "sample"), "float32", "", "posterior samples"),
    },
)
RADIAL = Schema(
    "radial",
    1,
    {
        **BAND,
        **QUANTILE,
        "radius": Var(("ring",), "float64", "", "middle of the ring, in units of R_eff"),
        "radius_arcsec": Var(("ring",), "float64", "arcsec", "middle of the ring"),
        "radius_kpc": Var(("ring",), "float64", "kpc", "middle of the ring"),
        "width": Var(("ring",), "float64", "", "width of the ring, in units of R_eff"),
        "covered": Var(("ring",), "float64", "", "part of the ring that has a posterior"),
        "n_bin": Var(("ring",), "float64", "", "bins that share the ring's area, effective"),
        "half_light": Var(
            ("band", "quantile"), "float64", "arcsec", "semi-major axis that holds half the flux"
        ),
        "half_mass": Var(
            ("quantile",), "float64", "arcsec", "semi-major axis that holds half the mass"
        ),
        "half_sfr": Var(
            ("quantile",), "float64", "arcsec", "semi-major axis that holds half the star formation"
        ),
        "mass_to_light": Var(
            ("band", "quantile"), "float64", "", "half-mass over half-light semi-major axis"
        ),
        "half_mass_of_medians": Var(
            (), "float64", "arcsec", "half-mass semi-major axis of the map of medians"
        ),
        "psf_fwhm": Var(("band",), "float64", "arcsec", "width of the PSF of flux and maps"),
        "flags": Var((), "uint16", "", "quality flags"),
    },
    each=Var(("ring", "quantile"), "float64", "", "posterior quantiles of a mean over a ring"),
)
"""Profiles on ellipses: attrs ra, dec, angle [deg], axis_ratio, r_eff [arcsec], its source and
band, kpc_per_arcsec."""
