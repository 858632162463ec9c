"""The folder of FSPS's data, SPS_HOME: what it must hold, and what it lacks."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.config import FSPS_VARIABLE, fsps_home
from pxdask.core.errors import ConfigError
from pxdask.sps.fsps.process import ask

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

ISOCHRONES = {
    "mist": ("MIST", "ISOCHRONES/MIST"),
    "prsc": ("PARSEC", "ISOCHRONES/PARSEC"),
    "pdva": ("Padova 2007", "ISOCHRONES/Padova/Padova2007"),
    "bsti": ("BaSTI", "ISOCHRONES/BaSTI"),
    "gnva": ("Geneva", "ISOCHRONES/Geneva"),
    "bpss": ("BPASS 2.2", "ISOCHRONES/BPASS"),
}
"""FSPS's names of isochrones, those of the world, and their folders."""
NEBULAR_ISOCHRONES = ("mist", "pdva", "prsc", "bpss")
"""Isochrones for which FSPS has nebular tables."""
TORUS = "dust/Nenkova08_y010_torusg_n10_q2.0.dat"
_N_DUST = {"DL07": 7, "THEMIS": 11}
"""Files of each dust emission model."""
_N_C3K = 11
"""Metallicities of the C3K libraries that are read."""
_HOT: tuple[str, ...] = (
    "WMBASIC.teff",
    "WMBASIC_zlegend.dat",
    "ipagb.teff",
    "ipagb_solar.spec",
    "ipagb_halo.spec",
)
_HOT += tuple(f"CMFGEN_{kind}" for kind in ("WN.teff", "WC.teff", "WN_Zall.spec", "WC_Zall.spec"))
_WMBASIC = "0.0001 0.0010 0.0020 0.0030 0.0040 0.0060 0.0080 0.0100 0.0140 0.0200 0.0300 0.0400"
_AGB: tuple[str, ...] = (
    "Orich.teff",
    "Orich.spec",
    "Crich.teff",
    "Crich.spec",
    "Crich_Aringer.teff",
)
_AGB += ("Crich_Aringer.spec",)
_XRB = "-1.30 -1.00 -0.80 -0.70 -0.50 -0.40 -0.30 -0.20 +0.00 +0.20 +0.30"
_ALWAYS = (
    "data/emlines_info.dat",
    "data/FILTER_LIST",
    "data/allfilters.dat",
    "data/allindices.dat",
    "SPECTRA/A0V_KURUCZ_92.SED",
    "SPECTRA/SUN_STScI.SED",
    "SPECTRA/xrb/xsp.lambda",
    *(f"SPECTRA/xrb/xsp_feh{feh}.spec" for feh in _XRB.split()),
    TORUS,
    "dust/dusty/Orich_dusty.spec",
    "dust/dusty/Crich_dusty.spec",
    "dust/alldirty_h.dat",
    "dust/alldirty_c.dat",
    "dust/Gordon03_table4.dat",
)
"""Files that FSPS opens whatever it was built with."""
_STARS = (
    *(f"SPECTRA/Hot_spectra/{name}" for name in _HOT),
    *(f"SPECTRA/Hot_spectra/WMBASIC_z{z}.spec" for z in _WMBASIC.split()),
    *(f"SPECTRA/AGB_spectra/{name}" for name in _AGB),
)
"""Files of stars that FSPS adds to any spectral library."""


@dataclass(frozen=True, slots=True)
class Libraries:
    """What an installed python-fsps was built with.

    Attributes
    ----------
    version : str
        Of python-fsps: 0.4 holds FSPS 3, 0.5 holds FSPS 4.
    isochrones, spectra, dust : str
        FSPS's names, such as mist, c3k_lr, DL07.
    n_met : int
        Metallicities of the isochrones.
    """

    version: str
    isochrones: str
    spectra: str
    dust: str
    n_met: int

    def __str__(self) -> str:
        """Return the names for people."""
        isochrones = ISOCHRONES.get(self.isochrones, (self.isochrones,))[0]
        spectra = "" if self.isochrones == "bpss" else f", {self.spectra.upper()}"
        return f"{isochrones}{spectra}, {self.dust}"

    @property
    def layout(self) -> int | None:
        """Major version of FSPS, whose data folders differ; None where not known."""
        known = {"0.4": 3, "0.5": 4}
        return known.get(".".join(self.version.split(".")[:2]))


def installed_libraries() -> Libraries:
    """Return what the installed python-fsps was built with; needs no data.

    Raises
    ------
    ConfigError
        If it is not installed or cannot be loaded.
    """
    facts = ask("describe", home=None, timeout=120).facts
    names = ("version", "isochrones", "spectra", "dust", "n_met")
    return Libraries(**{name: facts[name] for name in names})


def usable_home(given: str | Path | None, libraries: Libraries) -> Path:
    """Return the folder of FSPS's data, once it is known to hold what FSPS will open.

    Raises
    ------
    ConfigError
        If no folder is given or named by SPS_HOME, it is not one, or files are missing.
    """
    home = fsps_home(given)
    advice = "`pxdask ssp doctor` tells more, docs/fsps.md how to get the data"
    if home is None:
        raise ConfigError(f"FSPS needs its data: set {FSPS_VARIABLE} to their folder; {advice}")
    if not home.is_dir():
        raise ConfigError(f"{FSPS_VARIABLE} = {home} is not a folder; {advice}")
    if missing := missing_files(home, libraries):
        listed = "\n  - ".join(["", *missing[:10]])
        raise ConfigError(
            f"{FSPS_VARIABLE} = {home} lacks {len(missing)} of the files that FSPS with"
            f" {libraries} opens; {advice}:{listed}"
        )
    return home.resolve()


def missing_files(home: Path, libraries: Libraries) -> list[str]:
    """Return the files that FSPS would open and ``home`` lacks, relative to it.

    Empty for versions of python-fsps whose layout of data is not known: these can only be
    tried.
    """
    return [name for name in required_files(home, libraries) if not (home / name).is_file()]


def required_files(home: Path, libraries: Libraries) -> list[str]:
    """Return the files that FSPS opens, relative to ``home``.

    Lists of metallicities (``zlegend.dat``) are read from ``home``; without them the files
    they name are left out.
    """
    if libraries.layout is None:
        return []
    found = [*_isochrone_files(home, libraries), *_ALWAYS]
    if libraries.isochrones != "bpss":
        found += [*_spectral_files(home, libraries), *_STARS]
    n_dust = _N_DUST.get(libraries.dust, 0)
    found += [f"dust/dustem/{libraries.dust}_MW3.1_{i}0.dat" for i in range(n_dust)]
    if libraries.isochrones in NEBULAR_ISOCHRONES:
        kinds = ("ND", "WX_ND") if libraries.isochrones == "bpss" else ("ND",)
        found += [nebular_file(libraries, kind=kind, part="cont") for kind in kinds]
        found += [nebular_file(libraries, kind=kind, part="lines") for kind in kinds]
    return found


def nebular_file(libraries: Libraries, *, kind: str = "ND", part: str = "lines") -> str:
    """Return the name of a nebular table: ND without, WD with dust grains; WX with X-rays."""
    return f"nebular/ZAU_{kind}_{libraries.isochrones}.{part}"


def _isochrone_files(home: Path, libraries: Libraries) -> list[str]:
    """Return the files of the isochrones."""
    if libraries.isochrones not in ISOCHRONES:
        return []
    folder = ISOCHRONES[libraries.isochrones][1]
    legend = f"{folder}/zlegend.dat"
    if libraries.isochrones == "bpss":
        names = ("bpass.lambda", "bpass.mass", "bpass_v2.2_salpeter100.ssp.bin")
        return [legend, *(f"{folder}/{name}" for name in names)]
    lines = _lines(home / legend)[: libraries.n_met]
    if libraries.isochrones != "mist":
        files = [f"isoc_z{float(line[:6]):6.4f}.dat" for line in lines]
    elif libraries.layout == 4:
        files = [f"isoc_feh_{line[:4].strip()}_afe_p0_vvcrit0.4_full.dat" for line in lines]
    else:
        files = [f"isoc_z{line[:5].strip()}.dat" for line in lines]
    return [legend, *(f"{folder}/{name}" for name in files)]


def _spectral_files(home: Path, libraries: Libraries) -> list[str]:
    """Return the files of the spectral library."""
    name = libraries.spectra
    if libraries.layout == 4 and name.startswith("c3k"):
        folder, legend = f"SPECTRA/C3K/{name}", f"{name}_zlegend.dat"
        pattern, metallicities = f"{name}_feh{{}}_afe+0.0.spec.bin", _N_C3K
        others = [f"{name}.lambda", f"{name}.res", "logt.dat", "logg.dat"]
        lines = _lines(home / folder / legend)[:metallicities]
        values = [line[:5].strip() for line in lines]
    else:
        stems = {
            "miles": ("MILES", "miles", "imiles"),
            "basel": ("BaSeL3.1", "basel", "basel_wlbc"),
        }
        # python-fsps cuts the name c3k_afe+0.0 of FSPS 3
        long = ("C3K", "c3k_afe+0.0", "c3k_afe+0.0")
        parent, stem, start = long if name.startswith("c3k") else stems.get(name, ("", "", ""))
        if not parent:
            return []
        folder, legend, pattern = f"SPECTRA/{parent}", "zlegend.dat", f"{start}_z{{}}.spectra.bin"
        grid = [f"{axis}.dat" for axis in ("logt", "logg")]
        others = [f"{stem}.lambda", f"{stem}.res", *(grid if libraries.layout == 4 else [])]
        values = [f"{float(line.split()[0]):6.4f}" for line in _lines(home / folder / legend)]
    found = [f"{folder}/{file}" for file in (legend, *others, *map(pattern.format, values))]
    if libraries.layout == 3:
        found += [f"SPECTRA/BaSeL3.1/basel_{axis}.dat" for axis in ("logt", "logg")]
    return found


def _lines(path: Path) -> list[str]:
    """Return the lines of a list of metallicities that say something; none if it is absent."""
    if not path.is_file():
        return []
    return [line for line in path.read_text().splitlines() if line.strip()]


def revision(home: Path) -> str:
    """Return the commit that a clone of the FSPS repository is at; empty if it is no clone."""
    head = home / ".git" / "HEAD"
    if not head.is_file():
        return ""
    text = head.read_text().strip()
    if not text.startswith("ref: "):
        return text
    name = text.removeprefix("ref: ")
    if (home / ".git" / name).is_file():
        return (home / ".git" / name).read_text().strip()
    packed = home / ".git" / "packed-refs"
    rows = packed.read_text().splitlines() if packed.is_file() else []
    return next((row.split()[0] for row in rows if row.endswith(f" {name}")), "")


def fingerprint(home: Path, names: Iterable[str]) -> str:
    """Return a short hash of names and sizes of files, which tells one set of data from another."""
    digest = hashlib.blake2b(digest_size=8)
    for name in sorted(names):
        digest.update(f"{name} {(home / name).stat().st_size}\n".encode())
    return digest.hexdigest()


def gas_nodes(home: Path, name: str) -> tuple[Floats, Floats, Floats]:
    """Return log metallicities, log ages [yr] and log U of a table of nebular lines.

    Raises
    ------
    ConfigError
        If the table cannot be read.
    """
    rows = _lines(home / name)[2:]
    try:
        heads = np.array(
            [[float(word) for word in row.split()] for row in rows if len(row.split()) == 3]
        )
        metallicity, age, log_u = (np.unique(column) for column in heads.T)
    except ValueError as error:
        raise ConfigError(f"{home / name} is not a table of nebular lines: {error}") from error
    return metallicity, np.log10(age), log_u


def torus_table(home: Path) -> tuple[Floats, Floats, Floats]:
    """Return optical depths (tau,), wavelengths [Angstrom] and spectra (tau, wave) [Hz-1].

    Raises
    ------
    ConfigError
        If the table cannot be read.
    """
    try:
        rows = _lines(home / TORUS)[3:]
        tau = np.array([float(word) for word in rows[0].split()])
        table = np.array([[float(word) for word in row.split()] for row in rows[1:]])
        return tau, table[:, 0], np.ascontiguousarray(table[:, 1 : tau.size + 1].T)
    except (IndexError, ValueError) as error:
        raise ConfigError(f"{home / TORUS} is not a table of tori: {error}") from error


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes
    ----------
    what : str
        Its name.
    good : bool
        Whether it is as FSPS needs it.
    detail : str
        What was found, and what to do if it is not good.
    """

    what: str
    good: bool
    detail: str


def doctor(given: str | Path | None = None) -> list[Finding]:
    """Return what is there for FSPS and what is missing; the last one is bad if it cannot run.

    Parameters
    ----------
    given : path, optional
        The folder of FSPS's data; default: that of the variable SPS_HOME.
    """
    try:
        libraries = installed_libraries()
    except ConfigError as error:
        return [Finding("python-fsps", good=False, detail=str(error))]
    found = [
        Finding("python-fsps", good=True, detail=f"version {libraries.version}"),
        Finding("built with", good=True, detail=f"{libraries}, {libraries.n_met} metallicities"),
    ]
    home = fsps_home(given)
    if home is None or not home.is_dir():
        state = "is not set" if home is None else f"= {home} is not a folder"
        advice = "clone https://github.com/cconroy20/fsps (over 1 GB) and set it to the clone"
        return [*found, Finding(FSPS_VARIABLE, good=False, detail=f"{state}: {advice}")]
    where = f"{home} ({revision(home)[:10] or 'not a clone: revision not known'})"
    found.append(Finding(FSPS_VARIABLE, good=True, detail=where))
    return [*found, _files(home, libraries), _trial(home)]


def _files(home: Path, libraries: Libraries) -> Finding:
    """Return whether the files are there."""
    required = required_files(home, libraries)
    missing = missing_files(home, libraries)
    if not required:
        detail = f"which ones python-fsps {libraries.version} opens is not known; see the trial"
    elif missing:
        detail = f"{len(missing)} of {len(required)} are missing: " + ", ".join(missing[:20])
        detail += ", ..." if len(missing) > 20 else ""
    else:
        detail = f"all {len(required)} are there"
    return Finding("files", good=not missing, detail=detail)


def _trial(home: Path) -> Finding:
    """Return whether FSPS starts on these data and makes a spectrum."""
    start = time.monotonic()
    try:
        facts = ask("probe", home=home.resolve(), timeout=600).facts
    except ConfigError as error:
        return Finding("trial", good=False, detail=str(error))
    detail = f"a spectrum of {facts['n_wave']} wavelengths in {time.monotonic() - start:.1f} s"
    return Finding("trial", good=bool(facts["finite"]), detail=detail)
