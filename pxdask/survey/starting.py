"""Settings and a catalogue to begin a survey with: what `pxdask init` writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pxdask.core.bands import BandConfig
from pxdask.core.errors import ConfigError
from pxdask.core.files import refuse_existing, replacing
from pxdask.images.calibration import default_psf
from pxdask.images.surveys import SURVEYS
from pxdask.io.filters import find_curve

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_OPTICAL = ("acs_wfc_f435w", "acs_wfc_f606w", "acs_wfc_f775w", "acs_wfc_f814w", "acs_wfc_f850lp")
_SHORT = ("jwst_f090w", "jwst_f115w", "jwst_f150w", "jwst_f200w")
_LONG = ("jwst_f277w", "jwst_f335m", "jwst_f356w", "jwst_f410m", "jwst_f444w")

FILTERS: Mapping[str, Mapping[str, str]] = {
    **{
        name: {band: f"{start}{band}" for band in SURVEYS[name].bands}
        for name, start in {
            "galex": "galex_",
            "sdss": "sdss_",
            "2mass": "2mass_",
            "wise": "wise_",
            "irac": "spitzer_irac_ch",
            "mips": "spitzer_mips_",
            "pacs": "herschel_pacs_",
            "spire": "herschel_spire_",
            "legacy": "decam_",
            "hsc": "hsc_",
            "kids": "kids_",
            "vircam": "vircam_",
            "euclid": "euclid_",
        }.items()
    },
    "hst": {name.rsplit("_", 1)[-1]: name for name in (*_OPTICAL, "wfc3_ir_f160w")},
    "jwst": {name.rsplit("_", 1)[-1]: name for name in (*_SHORT, *_LONG)},
    "generic": {"g": "sdss_g", "r": "sdss_r"},
}
"""Filter of each band that settings are begun with; others can be added by hand."""

ERROR_IMAGES: Mapping[str, tuple[str, str]] = {
    "wise": ("unc", "sigma"),
    "irac": ("unc", "sigma"),
    "mips": ("unc", "sigma"),
    "pacs": ("err", "sigma"),
    "hst": ("wht", "weight"),
    "legacy": ("invvar", "weight"),
    "kids": ("weight", "weight"),
    "euclid": ("rms", "sigma"),
    "generic": ("err", "sigma"),
}
"""Ending of the file, and kind, of the uncertainties that a survey delivers as images."""

SEEING: Mapping[str, Mapping[str, float]] = {
    "legacy": {"g": 1.3, "r": 1.2, "i": 1.2, "z": 1.1},
    "hsc": {"g": 0.8, "r": 0.8, "i": 0.6, "z": 0.7, "y": 0.7},
    "kids": {"u": 1.0, "g": 0.9, "r": 0.7, "i": 0.8},
    "vircam": dict.fromkeys(("z", "y", "j", "h", "ks"), 0.9),
    "euclid": dict.fromkeys(("y", "j", "h"), 0.5),
    "generic": {"g": 1.0, "r": 1.0},
}
"""About how wide the PSF is where every image has its own [arcsec]; to be replaced by the user."""

EXTRAS: Mapping[str, str] = {"jwst": "hdu: SCI", "generic": "unit: uJy"}

ABSENT = " # not in the library: pxdask filters add {} FILE-OF-CURVE"
"""Said of a filter whose curve has to be added."""

CATALOG = """\
# %ECSV 1.0
# ---
# datatype:
# - {name: id, datatype: string, description: 'name of the galaxy, {id} in paths'}
# - {name: ra, unit: deg, datatype: float64, description: 'right ascension, ICRS'}
# - {name: dec, unit: deg, datatype: float64, description: 'declination, ICRS'}
# - {name: redshift, datatype: float64, description: redshift}
# schema: astropy-2.0
id ra dec redshift
ngc309 14.1778 -9.9139 0.0189
ngc1309 50.5273 -15.4000 0.0071
"""
"""Two galaxies of Abdurro'uf et al. 2021, as an example."""

_HEAD = """\
# Settings of a survey, begun by `pxdask init`. Every setting, its unit and default:
# docs/settings.md; what image processing makes of each survey's images: docs/images.md.
#
# In paths, {{data_root}} is what --data-root says, and {{id}} (or any other column) comes from the
# catalogue. Edit the paths, then: pxdask check {catalog} {config} --data-root FOLDER
name: {name}
seed: 1 # of every random stream: the same seed gives the same answers

bands:"""

_TAIL = """
images:
  # target_psf: {reference} # band whose PSF all are matched to; default: the widest
  # stamp_size: 120 arcsec # side of the cut-out around each galaxy; default: the coarsest image
  # extinction: {{column: ebv}} # the Milky Way's dust: a catalogue column with E(B-V) [mag]
  region: # which pixels are the galaxy's
    kind: segmentation # or ellipse, circle, rectangle, with sizes from the catalogue
    threshold: 1.5 # detection threshold [sigma]

binning: # pixels into bins of like SEDs (docs/binning.md)
  reference_band: {reference} # bins are seeded at its brightest pixels
  snr: 5 # that each bin must reach in every band; or by band, {{{reference}: 10}}
  min_diameter: 4 # [pix]
  max_chi2: 4 # how alike the SEDs of a bin's pixels must be, reduced

models: # stellar populations (docs/models.md; priors: docs/parameters.md)
  ssp: bc03 # needs `pip install -e ".[bc03]"`; or a product by `pxdask ssp build`
  sfh: delayed_tau
  dust: calzetti
  n_models: 65536 # more for S/N above 20 or so
  # priors:
  #   logzsol: {{low: -1.0, high: 0.2}}

fit: # docs/fitting.md
  method: rdsps # quick; or mcmc, nested, npe
  systematic_error: 0.05 # of models and calibration, as a fraction of flux
"""


@dataclass(frozen=True, slots=True)
class Start:
    """What was written, and what the user has to know.

    Attributes
    ----------
    config, catalog : Path
        The files.
    notes : tuple of str
        What to look at.
    absent : tuple of str
        Filters of the settings whose curves have to be added.
    """

    config: Path
    catalog: Path
    notes: tuple[str, ...]
    absent: tuple[str, ...] = ()


def write_start(
    surveys: Sequence[str], config: Path, catalog: Path, *, overwrite: bool = False
) -> Start:
    """Write settings with comments, and an example catalogue.

    Parameters
    ----------
    surveys : sequence of str
        Known surveys, each with all its bands (``sdss``) or some (``sdss:gri``, ``irac:1,2``).
    config, catalog : Path
        YAML file of settings, and ECSV file, to be written.
    overwrite : bool
        Replace files that are there.

    Raises
    ------
    ConfigError
        If a survey or band is not known, or a file is there.
    """
    chosen = [_chosen(text) for text in surveys]
    if config == catalog:
        raise ConfigError(f"settings and catalogue cannot both be {config}: give --catalog")
    for path in (config, catalog):
        refuse_existing(path, overwrite=overwrite)
    text = starting_text(chosen, config=config, catalog=catalog)
    for path, content in ((config, text), (catalog, CATALOG)):
        with replacing(path) as part:
            part.write_text(content, encoding="utf-8")
    names = list(dict.fromkeys(name for name, _ in chosen))
    notes = [
        f"psf of {name} is a guess: give each band its own (pxdask psf stars measures it)"
        for name in names
        if name in SEEING
    ]
    filters = {FILTERS[name][band] for name, bands in chosen for band in bands}
    return Start(config, catalog, tuple(notes), tuple(sorted(filter(_is_absent, filters))))


def _is_absent(filter_: str) -> bool:
    """Return whether there is no curve of a filter, in the library or of the user's."""
    try:
        find_curve(filter_)
    except ConfigError:
        return True
    return False


def starting_text(
    chosen: Sequence[tuple[str, Sequence[str]]], *, config: Path, catalog: Path
) -> str:
    """Return settings as YAML with comments, for the bands of surveys."""
    bands = list(dict.fromkeys((name, band) for name, listed in chosen for band in listed))
    entries = [
        entry
        for place, (name, band) in enumerate(bands)
        for entry in _entry(name, band, first=place == 0 or bands[place - 1][0] != name)
    ]
    middle = "_".join(bands[len(bands) // 2])
    head = _HEAD.format(config=config.name, catalog=catalog.name, name=config.stem)
    return "\n".join((head, *entries, _TAIL.format(reference=middle)))


def _chosen(text: str) -> tuple[str, tuple[str, ...]]:
    """Return a survey and its bands from such as ``sdss``, ``sdss:gri`` or ``irac:1,2``."""
    name, _, wanted = text.strip().lower().partition(":")
    if name not in FILTERS:
        raise ConfigError(f"{name!r} is not a known survey; known: {', '.join(FILTERS)}")
    known = tuple(FILTERS[name])
    listed = tuple(word.strip() for word in wanted.split(",") if word.strip()) or known
    if len(listed) == 1 and listed[0] not in known:
        listed = tuple(listed[0])
    if unknown := [band for band in listed if band not in known]:
        raise ConfigError(
            f"{text}: survey {name!r} has no band {', '.join(unknown)}; known: {', '.join(known)}"
        )
    return name, listed


def _entry(name: str, band: str, *, first: bool) -> list[str]:
    """Return the lines of a band; those of a survey's first band tell what the images are."""
    survey = SURVEYS[name]
    image = f"{{data_root}}/{{id}}/{name}_{band}"
    filter_ = FILTERS[name][band]
    lines = []
    if first:
        lines.append(f"  # {survey.title}; pixels: {survey.unit};")
        lines.append(f"  # errors: {survey.errors}")
    lines += [
        f"  - name: {name}_{band}",
        f"    filter: {filter_}{ABSENT.format(filter_) if _is_absent(filter_) else ''}",
        f"    survey: {name}",
        f'    image: "{image}.fits"',
    ]
    if name in EXTRAS:
        lines.append(f"    {EXTRAS[name]}")
    if name in ERROR_IMAGES:
        ending, kind = ERROR_IMAGES[name]
        lines.append(f'    uncertainty: {{path: "{image}_{ending}.fits", kind: {kind}}}')
    if name == "galex":
        lines.append(f'    # exposure: "{image}_rr.fits" # map of exposure; default: EXPTIME')
    if fwhm := SEEING.get(name, {}).get(band):
        lines.append(f"    psf: {{fwhm: {fwhm}}} # [arcsec] A GUESS: yours differs")
    else:
        known = default_psf(BandConfig(name=band, filter=filter_, image=image, survey=name), band)
        shape = "" if known.shape == "gaussian" else f", shape: {known.shape}"
        lines.append(f"    # psf: {{fwhm: {known.fwhm}{shape}}} # [arcsec] of all its images")
    return lines
