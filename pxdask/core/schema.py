"""Declared shapes, units and dtypes of every Dataset that crosses a stage boundary.

The declarations are data: `Schema.problems` compares a Dataset with one of them, and the
documentation of the data model is the table they form.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from astropy.units import Unit

from pxdask.core.errors import SchemaError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr
    from astropy.units import UnitBase

QUANTILES = (0.16, 0.5, 0.84)
"""Posterior quantiles that every fit reports [1]."""


@dataclass(frozen=True, slots=True)
class Var:
    """One variable: dimension names in order, dtype, unit, meaning."""

    dims: tuple[str, ...]
    dtype: str
    unit: str
    long_name: str
    required: bool = True


@dataclass(frozen=True, slots=True)
class Schema:
    """A named, versioned set of variables.

    ``each`` declares the form of variables whose names are open, such as one per model
    parameter; their units are their own but must parse. ``suffixes`` declares other forms, of
    open names that end so.
    """

    name: str
    version: int
    variables: Mapping[str, Var] = field(default_factory=dict)
    each: Var | None = None
    suffixes: Mapping[str, Var] = field(default_factory=dict)

    @property
    def tag(self) -> str:
        """Name and version as stored in ``attrs['schema']``."""
        return f"{self.name}/{self.version}"

    def problems(self, ds: xr.Dataset) -> list[str]:
        """Return every way in which ``ds`` differs from this schema (empty: valid)."""
        found = []
        if ds.attrs.get("schema") != self.tag:
            found.append(f"attrs['schema'] is {ds.attrs.get('schema')!r}, expected {self.tag!r}")
        for name in (str(key) for key in ds.variables):
            if name in self.variables:
                found += _variable_problems(ds, name, self.variables[name], unit=True)
            elif (open_form := self._open_form(name)) is not None:
                found += _variable_problems(ds, name, open_form, unit=False)
            else:
                found.append(f"unexpected variable {name!r}")
        found += [
            f"missing variable {name!r}"
            for name, var in self.variables.items()
            if var.required and name not in ds.variables
        ]
        return found

    def _open_form(self, name: str) -> Var | None:
        """Return the form of a variable whose name is not declared."""
        return next((v for end, v in self.suffixes.items() if name.endswith(end)), self.each)

    def validate(self, ds: xr.Dataset) -> xr.Dataset:
        """Return ``ds`` unchanged, or raise `SchemaError` naming every problem at once."""
        if found := self.problems(ds):
            raise SchemaError(f"not a {self.tag} dataset:\n  - " + "\n  - ".join(found))
        return ds

    def attrs(self, name: str) -> dict[str, str]:
        """Return the attributes a variable of this schema carries."""
        var = self.variables[name]
        return {"units": var.unit, "long_name": var.long_name}


def _variable_problems(ds: xr.Dataset, name: str, var: Var, *, unit: bool) -> list[str]:
    """Return how one variable differs from its declaration."""
    got, found = ds[name], []
    if got.dims != var.dims:
        found.append(f"{name}: dims {got.dims}, expected {var.dims}")
    if var.dtype == "str":
        if got.dtype.kind not in "UTO":
            found.append(f"{name}: dtype {got.dtype}, expected text")
        return found
    if got.dtype != np.dtype(var.dtype):
        found.append(f"{name}: dtype {got.dtype}, expected {var.dtype}")
    try:
        found_unit = _parsed(str(got.attrs.get("units", "?")))
    except ValueError:
        return [*found, f"{name}: unit {got.attrs.get('units')!r} is not one that astropy parses"]
    if unit and found_unit != _parsed(var.unit):
        found.append(f"{name}: units {got.attrs.get('units')!r}, expected {var.unit!r}")
    return found


@lru_cache(maxsize=256)
def _parsed(text: str) -> UnitBase:
    """Return the unit of a text; astropy takes longer to parse one than to compare many."""
    return Unit(text)


_BAND = {
    "band": Var(("band",), "str", "", "filter identifier"),
    "pivot_wave": Var(("band",), "float64", "Angstrom", "pivot wavelength"),
}
_QUANTILE = {"quantile": Var(("quantile",), "float64", "", "posterior probability below the value")}

_PER_ANGSTROM = "1e-17 erg s-1 cm-2 Angstrom-1"
_SPECTRAL = {
    "wave": Var(("wave",), "float64", "Angstrom", "observed frame, vacuum", required=False),
    "lsf_fwhm": Var(
        ("wave",), "float64", "Angstrom", "width of the line spread function", required=False
    ),
}


def _measured(name: str, unit: str, meaning: str) -> dict[str, Var]:
    """Return a property of bins and its uncertainty."""
    return {
        name: Var(("bin",), "float64", unit, meaning),
        f"{name}_err": Var(("bin",), "float64", unit, "1-sigma uncertainty"),
    }


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
        **_BAND,
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
BINS = Schema(
    "bins",
    1,
    {
        **_BAND,
        "bin_map": Var(("y", "x"), "int32", "", "bin of each pixel; -1 where none"),
        "flux": Var(("bin", "band"), "float64", "uJy", "summed flux density"),
        "flux_err": Var(("bin", "band"), "float64", "uJy", "1-sigma uncertainty of flux"),
        "n_pix": Var(("bin",), "int32", "", "pixels in the bin"),
        "flags": Var(("bin", "band"), "uint16", "", "quality flags"),
        "noise_area": Var(
            ("band",),
            "float64",
            "pix",
            "pixels over which noise is correlated, by which errors have grown; default: one",
            required=False,
        ),
        "snr": Var(("bin", "band"), "float64", "", "signal-to-noise ratio", required=False),
        "limiting_band": Var(
            ("bin",), "int32", "", "number of the band of least S/N over demand", required=False
        ),
        "compactness": Var(
            ("bin",), "float64", "", "area over that of a disc as extended", required=False
        ),
        "n_pieces": Var(("bin",), "int32", "", "pieces that do not touch", required=False),
        "sed_chi2": Var(
            ("bin",), "float64", "", "reduced chi-square of the pixels' SED shapes", required=False
        ),
        **_SPECTRAL,
        "spectrum": Var(
            ("bin", "wave"), "float64", _PER_ANGSTROM, "summed spectrum", required=False
        ),
        "spectrum_err": Var(
            ("bin", "wave"), "float64", _PER_ANGSTROM, "1-sigma uncertainty", required=False
        ),
        "coverage": Var(
            ("bin",), "float64", "", "part of the pixels that have a spectrum", required=False
        ),
    },
)
IFS = Schema(
    "ifs",
    1,
    {
        "wave": Var(("wave",), "float64", "Angstrom", "wavelength, observed frame, vacuum"),
        "lsf_fwhm": Var(("wave",), "float64", "Angstrom", "width of the line spread function"),
        "psf_fwhm": Var(("wave",), "float64", "arcsec", "width of the point spread function"),
        "flux": Var(("wave", "y", "x"), "float32", _PER_ANGSTROM, "flux density per own pixel"),
        "flux_err": Var(("wave", "y", "x"), "float32", _PER_ANGSTROM, "1-sigma uncertainty"),
        "flags": Var(("wave", "y", "x"), "uint16", "", "quality flags"),
    },
)
CUBE = Schema(
    "cube",
    1,
    {
        "wave": Var(("wave",), "float64", "Angstrom", "wavelength, observed frame, vacuum"),
        "lsf_fwhm": Var(("wave",), "float64", "Angstrom", "width of the line spread function"),
        "flux": Var(("wave", "y", "x"), "float32", _PER_ANGSTROM, "flux density per pixel"),
        "flux_err": Var(("wave", "y", "x"), "float32", _PER_ANGSTROM, "1-sigma uncertainty"),
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
SEDS = Schema(
    "seds",
    1,
    {
        **_BAND,
        "id": Var(("bin",), "str", "", "name of the SED"),
        "redshift": Var(("bin",), "float64", "", "redshift; NaN where it is not known"),
        "flux": Var(("bin", "band"), "float64", "uJy", "flux density; NaN where there is none"),
        "flux_err": Var(("bin", "band"), "float64", "uJy", "1-sigma uncertainty of flux"),
        "upper_limit": Var(
            ("bin", "band"), "bool", "", "flux is an upper limit, flux_err its softness"
        ),
        **_SPECTRAL,
        "spectrum": Var(("bin", "wave"), "float64", _PER_ANGSTROM, "spectrum", required=False),
        "spectrum_err": Var(
            ("bin", "wave"), "float64", _PER_ANGSTROM, "1-sigma uncertainty", required=False
        ),
    },
)
SSP = Schema(
    "ssp",
    2,
    {
        "log_z": Var(("met",), "float64", "", "log10 of metallicity in solar units"),
        "log_age": Var(("age",), "float64", "", "log10 of age in yr"),
        "wave": Var(("wave",), "float64", "Angstrom", "bin centre, rest frame, vacuum"),
        "wave_edges": Var(("edge",), "float64", "Angstrom", "edges of the wavelength bins"),
        "flux": Var(
            ("met", "age", "wave"), "float32", "Lsun Angstrom-1 Msun-1", "stars, per mass formed"
        ),
        "surviving": Var(("met", "age"), "float64", "", "mass in stars and remnants / mass formed"),
        "luminosity": Var(
            ("met", "age"), "float64", "Lsun Msun-1", "bolometric, of stars, per mass formed"
        ),
        "ionising": Var(
            ("met", "age"), "float64", "1e46 s-1 Msun-1", "ionising photons, per mass formed"
        ),
        "log_u": Var(("log_u",), "float64", "", "log10 of ionisation parameter"),
        "log_zgas": Var(("gas",), "float64", "", "log10 of gas metallicity in solar units"),
        "log_age_young": Var(("young",), "float64", "", "log10 of age in yr of nebular spectra"),
        "nebular": Var(
            ("log_u", "gas", "young", "wave"),
            "float32",
            "1e-46 Lsun s Angstrom-1",
            "nebular lines and continuum per ionising photon",
        ),
        "q_pah": Var(("qpah",), "float64", "percent", "mass fraction of dust in PAHs"),
        "u_min": Var(("umin",), "float64", "", "least starlight, in units of the local one"),
        "dust": Var(
            ("component", "qpah", "umin", "wave"),
            "float32",
            "Lsun Angstrom-1 Msun-1",
            "emission per dust mass: lit by u_min alone, and by a power law up to 1e6",
        ),
        "dust_power": Var(
            ("component", "qpah", "umin"), "float64", "Lsun Msun-1", "integral of dust"
        ),
        "tau_agn": Var(("tau",), "float64", "", "optical depth of a cloud of the torus"),
        "torus": Var(("tau", "wave"), "float32", "Angstrom-1", "torus of unit luminosity"),
    },
)
FILTERS = Schema(
    "filters",
    1,
    {
        **_BAND,
        "detector": Var(("band",), "str", "", "what the detector counts: photon or energy"),
        "n_point": Var(("band",), "int32", "", "points of the band's curve"),
        "wave": Var(("point",), "float64", "Angstrom", "wavelengths, one curve after another"),
        "transmission": Var(("point",), "float64", "", "response at each wavelength"),
    },
)
MODELS = Schema(
    "models",
    1,
    {
        **_BAND,
        "flux": Var(("model", "band"), "float32", "uJy Msun-1", "flux density per mass formed"),
    },
    each=Var(("model",), "float64", "", "model parameter or derived quantity"),
)
MODEL_GRID = Schema(
    "model-grid",
    1,
    {
        **_BAND,
        "redshift": Var(("redshift",), "float64", "", "redshift, increasing"),
        "flux": Var(
            ("redshift", "model", "band"), "float32", "uJy Msun-1", "flux density per mass formed"
        ),
    },
    each=Var(("model",), "float64", "", "model parameter or derived quantity"),
)
SPECTRA = Schema(
    "spectra",
    1,
    {
        "wave": Var(("wave",), "float64", "Angstrom", "bin centre, rest frame, vacuum"),
        "wave_edges": Var(("edge",), "float64", "Angstrom", "edges of the wavelength bins"),
        "flux": Var(("model", "wave"), "float32", "Lsun Angstrom-1 Msun-1", "per mass formed"),
    },
    each=Var(("model",), "float64", "", "model parameter or derived quantity"),
)
FIT = Schema(
    "fit",
    2,
    {
        **_BAND,
        **_QUANTILE,
        "chi2": Var(("bin",), "float64", "", "chi-square of the best model"),
        "n_used": Var(("bin",), "int32", "", "bands that were fitted, upper limits included"),
        "n_eff": Var(("bin",), "float64", "", "effective number of models or samples"),
        "ln_evidence": Var(("bin",), "float64", "", "natural log of the evidence"),
        "ln_evidence_err": Var(("bin",), "float64", "", "its uncertainty", required=False),
        "model_flux": Var(("bin", "band"), "float64", "uJy", "flux density of the best model"),
        "acceptance": Var(("bin",), "float64", "", "accepted part of the steps", required=False),
        "tau": Var(("bin",), "float64", "", "autocorrelation time in steps", required=False),
        "rhat": Var(("bin",), "float64", "", "largest split R-hat", required=False),
        "n_steps": Var(("bin",), "int32", "", "steps of each walker", required=False),
        "efficiency": Var(
            ("bin",), "float64", "", "effective part of a network's draws", required=False
        ),
        "predictive_p": Var(
            ("bin",), "float64", "", "posterior predictive p-value of chi2", required=False
        ),
        "outlier_score": Var(
            ("bin",), "float64", "", "ln of the chance of being so odd, over limit", required=False
        ),
        "redshift_ratio": Var(
            ("bin",), "float64", "", "ln of p(z given the fluxes) over p(z)", required=False
        ),
        "flags": Var(("bin",), "uint16", "", "quality flags", required=False),
        **_SPECTRAL,
        "model_spectrum": Var(
            ("bin", "wave"), "float64", _PER_ANGSTROM, "spectrum of the best model", required=False
        ),
        "polynomial": Var(
            ("bin", "order"), "float64", "", "Legendre factor of the best model", required=False
        ),
        "spectrum_chi2": Var(("bin",), "float64", "", "chi-square of the spectrum", required=False),
        "spectrum_n_used": Var(("bin",), "int32", "", "wavelengths fitted", required=False),
    },
    each=Var(("bin", "quantile"), "float64", "", "posterior quantiles of a parameter"),
    suffixes={
        "_mean": Var(("bin",), "float64", "", "posterior mean"),
        "_std": Var(("bin",), "float64", "", "posterior standard deviation"),
        "_samples": Var(("bin", "sample"), "float32", "", "posterior samples"),
    },
)
MAPS = Schema(
    "maps",
    1,
    {**_QUANTILE},
    each=Var(("quantile", "y", "x"), "float32", "", "posterior quantiles of a property"),
)
PHOTOMETRY = Schema(
    "photometry",
    1,
    {
        **_BAND,
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
        **_BAND,
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
LINES = Schema(
    "lines",
    1,
    {
        "line": Var(("line",), "str", "", "name of the emission line"),
        "rest_wave": Var(("line",), "float64", "Angstrom", "rest-frame wavelength, vacuum"),
        "bin_map": Var(("y", "x"), "int32", "", "bin of each pixel; -1 where none", required=False),
        "n_pix": Var(("bin",), "int32", "", "pixels in the bin"),
        "flux": Var(("bin", "line"), "float64", "1e-17 erg s-1 cm-2", "flux; of doublets the main"),
        "flux_err": Var(("bin", "line"), "float64", "1e-17 erg s-1 cm-2", "1-sigma uncertainty"),
        "limit": Var(
            ("bin", "line"), "float64", "1e-17 erg s-1 cm-2", "upper limit where not detected"
        ),
        "width": Var(("bin", "line"), "float64", "Angstrom", "equivalent width, rest frame"),
        "width_err": Var(("bin", "line"), "float64", "Angstrom", "1-sigma uncertainty"),
        "flags": Var(("bin", "line"), "uint16", "", "quality flags"),
        **_measured("velocity", "km s-1", "velocity of the gas from the redshift"),
        **_measured("sigma", "km s-1", "velocity dispersion of the gas"),
        "chi2": Var(("bin",), "float64", "", "chi-square near the lines"),
        "n_used": Var(("bin",), "int32", "", "wavelengths fitted"),
        **_measured("dn4000", "", "mean F_nu at 4000-4100 over 3850-3950 Angstrom"),
        **_measured("decrement", "", "H alpha over H beta"),
        **_measured("ebv", "mag", "colour excess of the gas"),
        **_measured("attenuation", "mag", "attenuation of H alpha"),
        **_measured("luminosity", "1e40 erg s-1", "H alpha, corrected for dust"),
        **_measured("sfr", "Msun yr-1", "star formation rate of H alpha"),
    },
)
LINE_MAPS = Schema(
    "line-maps", 1, each=Var(("y", "x"), "float32", "", "spectral property of pixels")
)
NETWORK = Schema(
    "network",
    1,
    {
        **_BAND,
        "weights": Var(("member", "weight"), "float32", "", "weights of a network, end to end"),
        "loss": Var(("member", "epoch"), "float64", "", "-ln density of the training's mocks"),
        "held_loss": Var(("member", "epoch"), "float64", "", "-ln density of held-out mocks"),
        "redshift_weights": Var(
            ("redshift_weight",), "float32", "", "weights of a check of redshifts", required=False
        ),
    },
    each=Var(("figure",), "float64", "", "figure of merit"),
)
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
        **_BAND,
        **_QUANTILE,
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
        **_BAND,
        **_QUANTILE,
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
SCHEMAS = {
    schema.tag: schema
    for schema in (
        RAW,
        IMAGE,
        BINS,
        IFS,
        CUBE,
        SEDS,
        SSP,
        FILTERS,
        MODELS,
        MODEL_GRID,
        SPECTRA,
        FIT,
        MAPS,
        PHOTOMETRY,
        PROFILE,
        LINES,
        LINE_MAPS,
        NETWORK,
        STAMP,
        MORPHOLOGY,
        RADIAL,
    )
}
"""Every schema by its tag."""
