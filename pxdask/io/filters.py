"""Filter curves by name: those of sedpy and speclite, and the user's own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import xarray as xr

from pxdask.core.bandpass import Filter
from pxdask.core.config import user_folder
from pxdask.core.errors import ConfigError
from pxdask.core.schema import FILTERS
from pxdask.io.filter_files import read_curve
from pxdask.kernels.bandpass import pivot_wave

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pxdask.core.bandpass import Detector

ALIASES = {
    **{f"sdss_{band}": f"sdss_{band}0" for band in "ugriz"},
    **{f"2mass_{band}": f"twomass_{band}" for band in ("J", "H", "Ks")},
    "2mass_k": "twomass_Ks",
    **{
        f"spitzer_irac_{wave}": f"spitzer_irac_ch{channel}"
        for channel, wave in enumerate(("36", "45", "58", "80"), start=1)
    },
    **{
        f"cfht_mega_{band}": f"cfht_megacam_{band}s_{number}"
        for band, number in zip("ugriz", (9301, 9401, 9601, 9701, 9801), strict=True)
    },
    **{
        f"cfht_wircam_{band}": f"cfht_wircam_{band}_8{number}"
        for band, number in (("J", "101"), ("H", "201"), ("Ks", "302"))
    },
    **{f"subaru_{band}": f"subaru_suprimecam_{band}" for band in ("B", "V", "Rc")},
    **{f"subaru_{band}": f"subaru_suprimecam_{band}p" for band in "riz"},
    "subaru_ia768": "subaru_suprimecam_ia767",
    **{
        f"wfi_{name}": f"mpgeso_wfi_{name}_eso{number}"
        for name, number in (("U38", 841), ("B", 842), ("V", 843), ("Rc", 844))
    },
    **{f"vlt_{band}": f"vlt_isaac_{band}" for band in ("J", "H", "Ks")},
    "vlt_U": "vlt_vimos_U",
    **{
        f"{name}_{band}": f"lsst_baseline_{band}"
        for name in ("lsst", "lsst2023")
        for band in "ugrizy"
    },
    **{f"euclid_{band.lower()}": f"Euclid-{band}" for band in ("VIS", "Y", "J", "H")},
    **{f"hsc_{band}": f"hsc2017-{band}" for band in ("r2", "i2")},
    "panstarrs_w": "panstarrs-w",
}
"""Names of piXedfit and common use, and the curves they mean."""

_REWRITTEN = (
    (re.compile(r"^hst_acs_(?:wfc_)?(f\d+\w+)$"), r"acs_wfc_\1"),
    (re.compile(r"^hst_(wfc3_(?:ir|uvis)_f\d+\w+)$"), r"\1"),
    # piXedfit 1.0 spells the camera wfpc3
    (re.compile(r"^(?:hst_)?wfp?c3_(f(?:0|1[0-6])\d+\w+)$"), r"wfc3_ir_\1"),
    (re.compile(r"^(?:hst_)?wfp?c3_(f[2-9]\d+\w+)$"), r"wfc3_uvis_\1"),
    (re.compile(r"^jwst_(?:nircam|miri)_(f\d+\w+)$"), r"jwst_\1"),
    (re.compile(r"^(?:vista|vircam)_(\w+)$"), r"vista_vircam_\1"),
    (re.compile(r"^(?:ukidss|wfcam)_([a-z])$"), r"ukirt_wfcam_\1"),
    (re.compile(r"^subaru_(ia\d+)$"), r"subaru_suprimecam_\1"),
    (re.compile(r"^subaru_hsc_(\w+)$"), r"hsc_\1"),
    (re.compile(r"^newfirm_(\w+)$"), r"mayall_newfirm_\1"),
    (re.compile(r"^ps1_([a-z])$"), r"panstarrs_\1"),
    (re.compile(r"^(?:wfirst_wfi|roman_wfi|roman)_[a-z](\d{3})$"), r"roman_wfi_f\1"),
)
"""Patterns of names, in lower case, that other programs use for whole sets of filters."""

_ENERGY = re.compile(r"^(herschel_(pacs|spire)_\d+|spitzer_mips_70_dpe)$")
"""Sedpy curves per unit energy. The notes in the files say per photon of GALEX, SDSS, 2MASS,
MIPS (converted), NIRCam, MIRI; the photon pivots of WISE agree with E. L. Wright's 3.368,
4.618, 12.08 and 22.19 micron, those of IRAC with the handbook's 3.550-7.872 micron to 0.2 per
cent. The notes on PACS speak of transmitted flux density, and both Herschel cameras are
bolometers. ``dpe`` divided by wavelength is the photon curve of MIPS 70. Other curves are
taken as sedpy takes them: per photon, in vacuum. Those of speclite are per photon."""

_LIBRARIES = {"sedpy": "*.par", "speclite": "*.ecsv"}
"""Packages whose ``data/filters`` are read in place, and the files of their curves. The first
that has a name serves it; the second is optional."""


@dataclass(frozen=True, slots=True)
class CurveFile:
    """Where the curve of a filter is.

    Attributes
    ----------
    collection : str
        ``user``, ``sedpy``, ``speclite``, or ``file`` where a path was given.
    curve : str
        Name of the curve in its library.
    path : Path
        File of the curve.
    detector : {"photon", "energy"} or None
        What its response is per; None: as the file says.
    """

    collection: str
    curve: str
    path: Path
    detector: Detector | None = None


def load_filters(names: Sequence[str]) -> tuple[Filter, ...]:
    """Return the curves of filters.

    Parameters
    ----------
    names : sequence of str
        Names of the user's library, of sedpy, speclite or piXedfit, upper or lower case, or
        paths of files: text with the columns wavelength [Angstrom, vacuum] and response per
        photon, or tables (``.xml``, ``.ecsv``) that say unit and detector.

    Returns
    -------
    filters : tuple of Filter
        In the order asked for, called as they were asked for; see `read_curve`.

    Raises
    ------
    ConfigError
        Naming every unknown filter and every unusable file at once.
    """
    found, faults = [], []
    for name in names:
        try:
            source = find_curve(name)
            found.append(read_curve(source.path, name=name, detector=source.detector))
        except ConfigError as error:
            faults.append(str(error))
    if faults:
        raise ConfigError("filters that cannot be used:\n  - " + "\n  - ".join(faults))
    return tuple(found)


def find_curve(name: str) -> CurveFile:
    """Return where the curve of a filter is: the user's, else a package's, else a file.

    Raises
    ------
    ConfigError
        If there is none, with names that are close.
    """
    own = user_curves()
    stem = _matching(name, own)
    if stem is not None:
        return CurveFile("user", stem, own[stem])
    packaged = package_curve(name)
    if packaged is not None:
        return packaged
    if Path(name).is_file():
        return CurveFile("file", name, Path(name))
    raise ConfigError(f"{name!r} is neither a known filter nor a file{_hint(name)}")


def package_curve(name: str) -> CurveFile | None:
    """Return where an installed package has the curve of a filter, or None."""
    aliases = {alias.lower(): stem for alias, stem in ALIASES.items()}
    for asked in (name, aliases.get(name.lower()), _rewritten(name)):
        for library in _LIBRARIES if asked else ():
            curves = _package_curves(library)
            stem = _matching(str(asked), curves)
            if stem is not None:
                detector: Detector = "energy" if _ENERGY.match(stem) else "photon"
                return CurveFile(library, stem, curves[stem], detector)
    return None


def filter_names(pattern: str = "*") -> tuple[str, ...]:
    """Return the names that `load_filters` knows, aliases of single filters included.

    Parameters
    ----------
    pattern : str
        As of file names (``jwst_*``), or a part of the name; upper or lower case.
    """
    wanted = pattern.lower() if any(mark in pattern for mark in "*?[") else f"*{pattern.lower()}*"
    curves = {stem for library in _LIBRARIES for stem in _package_curves(library)}
    served = {alias for alias, stem in ALIASES.items() if stem in curves}
    known = sorted({*curves, *served, *user_curves()})
    return tuple(name for name in known if fnmatchcase(name.lower(), wanted))


def user_curves() -> dict[str, Path]:
    """Return the files of the curves in the user's own library, by name."""
    folder = user_folder() / "filters"
    return {path.stem: path for path in sorted(folder.glob("*.ecsv")) if path.name[0] != "."}


def filters_to_dataset(filters: Sequence[Filter]) -> xr.Dataset:
    """Return filter curves as one Dataset of schema ``filters/1``."""
    values = {
        "band": np.array([band.name for band in filters], dtype=object),
        "pivot_wave": np.array([pivot_wave(band) for band in filters], dtype=np.float64),
        "detector": np.array([band.detector for band in filters], dtype=object),
        "n_point": np.array([band.wave.size for band in filters], dtype=np.int32),
        "wave": np.concatenate([np.empty(0), *(band.wave for band in filters)]),
        "transmission": np.concatenate([np.empty(0), *(band.transmission for band in filters)]),
    }
    ds = xr.Dataset(
        {
            name: (FILTERS.variables[name].dims, value, FILTERS.attrs(name))
            for name, value in values.items()
        },
        attrs={"schema": FILTERS.tag},
    )
    return FILTERS.validate(ds.set_coords(["band", "pivot_wave"]))


def filters_from_dataset(ds: xr.Dataset) -> tuple[Filter, ...]:
    """Return the curves in a Dataset of schema ``filters/1``.

    Raises
    ------
    SchemaError
        If ``ds`` is not such a Dataset.
    """
    FILTERS.validate(ds)
    ends = np.cumsum(ds["n_point"].values)[:-1]
    curves = zip(
        ds["band"].values,
        np.split(ds["wave"].values, ends),
        np.split(ds["transmission"].values, ends),
        ds["detector"].values,
        strict=True,
    )
    return tuple(
        Filter(str(name), wave, response, cast("Detector", str(detector)))
        for name, wave, response, detector in curves
    )


def _matching(name: str, curves: dict[str, Path]) -> str | None:
    """Return the name of a curve as it is spelled, upper or lower case, or None."""
    if name in curves:
        return name
    return {stem.lower(): stem for stem in curves}.get(name.lower())


def _rewritten(name: str) -> str | None:
    """Return the sedpy name that a name of another program means, or None."""
    for pattern, replacement in _REWRITTEN:
        if pattern.match(name.lower()):
            return pattern.sub(replacement, name.lower())
    return None


def _hint(name: str) -> str:
    """Return what a user who meant a filter can do about its name."""
    served = ALIASES.get(name.lower(), "")
    if "-" in served and not _package_curves("speclite"):
        return f"; the package speclite has it as {served}: `pip install speclite`"
    known = {known.lower(): known for known in filter_names()}
    close = [known[match] for match in get_close_matches(name.lower(), known, n=3, cutoff=0.5)]
    return (f"; close to {', '.join(close)}" if close else "") + (
        ". Curves of your own: `pxdask filters add NAME FILE`"
    )


@cache
def _package_curves(library: str) -> dict[str, Path]:
    """Return the files of the curves that come with a package, by name.

    Raises
    ------
    ConfigError
        If sedpy is not installed, which most names need.
    """
    spec = find_spec(library)
    if spec is None or not spec.submodule_search_locations:
        if library == "sedpy":
            raise ConfigError('filter curves come with sedpy: `pip install "astro-sedpy>=0.4"`')
        return {}
    folder = Path(spec.submodule_search_locations[0]) / "data" / "filters"
    return {path.stem: path for path in sorted(folder.glob(_LIBRARIES[library]))}
