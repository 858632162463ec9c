"""The PSFs of known surveys, used where a band gives none.

Only PSFs that hold for any image of a survey are here. The seeing of the other ground-based
surveys (Legacy Surveys, HSC, KiDS, VIKING, ...) differs from field to field by more than the 2 %
to which PSFs are matched: theirs must be given, or measured from stars.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pxdask.core.errors import ConfigError
from pxdask.images.psf import Psf

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class DefaultPsf:
    """The PSF of a survey's band, and who says so."""

    psf: Psf
    source: str


def default_psf(survey: str, band: str) -> Psf:
    """Return the PSF of a band of a known survey.

    Parameters
    ----------
    survey : str
        A key of `DEFAULT_PSFS`, in any case, with or without signs between its words.
    band : str
        The band's own name (``u``, ``W2``, ``250``) or with that of the survey or its camera
        (``sdss_u``, ``wise_w2``, ``herschel_spire_250``).

    Returns
    -------
    psf : Psf

    Raises
    ------
    ConfigError
        If the survey or the band has no PSF that would hold for all its images.
    """
    return find_default(survey, band).psf


def find_default(survey: str, band: str) -> DefaultPsf:
    """Return the PSF of a band of a known survey with its source; see `default_psf`."""
    key = _SURVEY_NAMES.get(_plain(survey))
    if key is None:
        raise ConfigError(
            f"no default PSF for survey {survey!r}: only {', '.join(DEFAULT_PSFS)} have one PSF"
            " for all their images; give the band's own (psf: fwhm or image), measured from its"
            " stars if need be (pxdask psf stars)"
        )
    bands = DEFAULT_PSFS[key]
    words = [word for word in re.split(r"[^a-z0-9.]+", band.lower()) if word not in _CAMERA_WORDS]
    words = list(dict.fromkeys(words))  # euclid_vis_vis
    found = bands.get("".join(words)) or bands.get(_ALIASES.get("".join(words), ""))
    if found is None:
        raise ConfigError(
            f"no default PSF for band {band!r} of {key}; there are {', '.join(bands)}"
        )
    return found


def _gaussians(source: str, widths: Mapping[str, float]) -> dict[str, DefaultPsf]:
    """Return Gaussians by band, from their widths [arcsec]."""
    return {band: DefaultPsf(Psf(fwhm=fwhm), source) for band, fwhm in widths.items()}


def _plain(name: str) -> str:
    """Return a name in lower case, its letters and digits only."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


_SDSS_SOURCE = (
    "Abdurro'uf et al. 2021 (ApJS 254, 15), section 3.1.2 and appendix A: sums of two Gaussians"
    " with weights 0.9 and 0.1 and widths as 1 to 2 (Aniano et al. 2011, PASP 123, 1218)"
)

DEFAULT_PSFS: Mapping[str, Mapping[str, DefaultPsf]] = {
    "galex": _gaussians("Morrissey et al. 2007 (ApJS 173, 682)", {"fuv": 4.2, "nuv": 5.3}),
    "sdss": {
        band: DefaultPsf(Psf(fwhm=fwhm, shape="double_gaussian"), _SDSS_SOURCE)
        for band, fwhm in {"u": 1.5, "g": 1.5, "r": 1.5, "i": 1.0, "z": 1.0}.items()
    },
    "2mass": _gaussians(
        "Abdurro'uf et al. 2021 (ApJS 254, 15), section 3.1.2 and appendix A",
        {"j": 3.5, "h": 3.5, "ks": 3.5},
    ),
    "wise": _gaussians(
        "Wright et al. 2010 (AJ 140, 1868)", {"w1": 6.1, "w2": 6.4, "w3": 6.5, "w4": 12.0}
    ),
    "spitzer-irac": _gaussians(
        "Fazio et al. 2004 (ApJS 154, 10)", {"3.6": 1.66, "4.5": 1.72, "5.8": 1.88, "8.0": 1.98}
    ),
    "spitzer-mips": _gaussians(
        "Rieke et al. 2004 (ApJS 154, 25)", {"24": 6.0, "70": 18.0, "160": 40.0}
    ),
    "herschel-pacs": _gaussians(
        "Aniano et al. 2011 (PASP 123, 1218)", {"70": 5.67, "100": 7.04, "160": 11.18}
    ),
    "herschel-spire": _gaussians(
        "Griffin et al. 2010 (A&A 518, L3)", {"250": 18.1, "350": 25.2, "500": 36.6}
    ),
    "hst-acs": _gaussians(
        "reconstructed, ACS instrument handbook, section 5.6",
        {"f435w": 0.10, "f606w": 0.10, "f775w": 0.10, "f814w": 0.10, "f850lp": 0.11},
    ),
    "hst-wfc3": _gaussians("piXedfit documentation 1.0, section 1.3", {"f160w": 0.19}),
    "jwst-nircam": _gaussians(
        "JWST user documentation, NIRCam Point Spread Functions",
        {
            "f090w": 0.033,
            "f115w": 0.040,
            "f150w": 0.050,
            "f200w": 0.066,
            "f277w": 0.092,
            "f335m": 0.111,
            "f356w": 0.116,
            "f410m": 0.137,
            "f444w": 0.145,
        },
    ),
    "euclid-vis": _gaussians("Euclid Q1, VIS processing (arXiv 2503.15303)", {"vis": 0.16}),
}
"""PSFs by survey and band. Where the sources give no shape, a Gaussian of their width."""

_SURVEY_NAMES = {
    **{_plain(name): name for name in DEFAULT_PSFS},
    "twomass": "2mass",
    "allwise": "wise",
    "irac": "spitzer-irac",
    "mips": "spitzer-mips",
    "pacs": "herschel-pacs",
    "spire": "herschel-spire",
    "acs": "hst-acs",
    "wfc3": "hst-wfc3",
    "hstwfc3ir": "hst-wfc3",
    "nircam": "jwst-nircam",
    "jwst": "jwst-nircam",
    "euclid": "euclid-vis",
}
"""Names of surveys without signs, and shorter ones."""

_CAMERA_WORDS = {
    "",
    *(word for name in DEFAULT_PSFS for word in name.split("-") if word != "vis"),
    *("twomass", "wfc", "ir", "frame", "atlas", "map", "euclid"),
}
"""Words that may stand before a band's own name."""

_ALIASES = {
    "k": "ks",
    "ch1": "3.6",
    "ch2": "4.5",
    "ch3": "5.8",
    "ch4": "8.0",
    "1": "3.6",
    "2": "4.5",
    "3": "5.8",
    "4": "8.0",
    "3.4": "w1",
    "4.6": "w2",
    "11.6": "w3",
    "22.1": "w4",
    "blue": "70",
    "green": "100",
    "red": "160",
    "psw": "250",
    "pmw": "350",
    "plw": "500",
}
"""Other names of bands; they serve only where the survey has the band they stand for."""
