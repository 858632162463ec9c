"""The simple stellar populations, gas, dust and torus of an installed FSPS, as one SSP product."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from pxdask.core.constants import C_ANGSTROM_S
from pxdask.core.errors import ConfigError
from pxdask.core.provenance import content_key
from pxdask.core.schema import SSP
from pxdask.sps.fsps.home import (
    NEBULAR_ISOCHRONES,
    fingerprint,
    gas_nodes,
    installed_libraries,
    nebular_file,
    required_files,
    revision,
    torus_table,
    usable_home,
)
from pxdask.sps.fsps.process import TIMEOUT, ask

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from pxdask.sps.fsps.home import Libraries

    Floats = NDArray[np.float64]

logger = logging.getLogger(__name__)

EXTRACTOR_VERSION = 1
IMFS = {
    "salpeter": (0, "Salpeter (1955)"),
    "chabrier": (1, "Chabrier (2003)"),
    "kroupa": (2, "Kroupa (2001)"),
    "van_dokkum": (3, "van Dokkum (2008)"),
    "dave": (4, "Dave (2008)"),
    "tabulated": (5, "data/imf.dat of SPS_HOME"),
}
"""Numbers by which FSPS knows initial mass functions, and their papers."""
LOG_U_STEP, GAS_STEP = 0.25, 0.125
"""Widest steps between gas nodes of a product [dex]; the file's own are up to 0.5."""

_U_MIN = {
    "DL07": "0.1 .15 .2 .3 .4 .5 .7 .8 1 1.2 1.5 2 2.5 3 4 5 7 8 12 15 20 25",
    "THEMIS": ".1 .12 .15 .17 .2 .25 .3 .35 .4 .5 .6 .7 .8 1 1.2 1.5 1.7 2 2.5 3 3.5 4 5 6 7 8 10"
    " 12 15 17 20 25 30 35 40 50 80",
}
_Q_PAH = {
    "DL07": (0.47, 1.12, 1.77, 2.50, 3.19, 3.90, 4.58),
    "THEMIS": tuple(
        share / 2.2 * 100
        for share in (0.02, 0.06, 0.10, 0.14, 0.17, 0.20, 0.24, 0.28, 0.32, 0.36, 0.40)
    ),
}
"""Nodes of the dust emission models: starlight, and share of the dust in PAHs [percent] (in
THEMIS: of small hydrocarbon grains, scaled as FSPS does); sps_vars.f90."""
_RESERVED = frozenset(
    {
        *("imf_type", "zcontinuous", "zmet", "logzsol", "afe", "afeindx", "pmetals"),
        *("sfh", "tau", "const", "sf_start", "sf_trunc", "tage", "fburst", "tburst", "sf_slope"),
        *("dust_type", "dust_tesc", "dust1", "dust2", "dust3", "dust_clumps", "frac_nodust"),
        *("frac_obrun", "dust_index", "dust1_index", "mwr", "uvb", "wgp1", "wgp2", "wgp3"),
        *("add_dust_emission", "duste_gamma", "duste_umin", "duste_qpah", "fagn", "agn_tau"),
        *("add_neb_emission", "gas_logu", "gas_logz", "zred", "add_igm_absorption", "igm_factor"),
        *("sigma_smooth", "smooth_lsf", "smooth_velocity", "min_wave_smooth", "max_wave_smooth"),
        *("redshift_colors", "compute_light_ages", "compute_vega_mags", "vactoair_flag"),
    }
)
"""Parameters of FSPS that are no properties of a simple population: the extraction sets them,
and models with the product have their own."""
_MANTISSA_BITS = 15
"""Bits kept of each flux; relative rounding error 2**-16 = 1.5e-5 [1]."""
_FAINTEST = 1e-30
"""Fluxes below are stored as zero, in the units of the product."""
_PHOTONS = 1e46
"""Unit of ionising photons [s-1]."""
_FLOOR = 1e-30
"""What FSPS adds to torus spectra before it takes logarithms [Hz-1]; sps_setup.f90."""


def extract_ssp(
    home: str | Path | None = None,
    *,
    imf_type: int = 1,
    options: Mapping[str, Any] | None = None,
    log_u_step: float = LOG_U_STEP,
    gas_step: float = GAS_STEP,
    timeout: float = TIMEOUT,
) -> xr.Dataset:
    """Return the populations of the installed python-fsps as an SSP product.

    Parameters
    ----------
    home : path, optional
        The folder of FSPS's data; default: that of the variable SPS_HOME.
    imf_type : int
        FSPS's number of the initial mass function; see `IMFS`.
    options : mapping, optional
        Other arguments of ``fsps.StellarPopulation`` that make a simple population what it
        is: slopes and limits of the IMF, blue stragglers, AGB and post-AGB stars, dust in
        the nebulae (``cloudy_dust``), X-ray binaries, ...
    log_u_step, gas_step : float
        Widest steps between nodes of ionisation parameter and gas metallicity [dex]. FSPS
        interpolates logarithms between its files' nodes, models with a product light itself:
        finer nodes keep these alike. ``attrs["gas_errors"]`` has the difference that is left.
    timeout : float
        Longest time to wait for FSPS [s].

    Returns
    -------
    ssp : Dataset
        Schema ``ssp/2``, on FSPS's own wavelengths (vacuum): spectra are taken as constant
        in bins around them, whose edges lie halfway. Stars have remnants in ``surviving``
        and no gas. ``ionising`` and ``nebular`` are such that their product is FSPS's
        nebular light at every age. Where FSPS has no nebular tables (BaSTI, Geneva),
        ``nebular`` is zero.

    Raises
    ------
    ConfigError
        If python-fsps is not installed, data are missing, an option is unknown to FSPS or
        not one of a simple population, or FSPS gives up.
    """
    libraries = installed_libraries()
    folder = usable_home(home, libraries)
    settings = _settings(folder, libraries, imf_type, dict(options or {}), log_u_step, gas_step)
    has_nebulae = libraries.isochrones in NEBULAR_ISOCHRONES
    if not has_nebulae:
        logger.warning("FSPS has no nebulae for %s: models will have none", libraries)
    nodes = _nodes(folder, libraries, settings, has_nebulae=has_nebulae)
    arguments = {
        "imf_type": imf_type,
        "options": settings["options"],
        "nodes": {name: list(values) for name, values in nodes.items()},
        "has_nebulae": has_nebulae,
    }
    answer = ask("extract", home=folder, arguments=arguments, timeout=timeout)
    values = _values(answer.arrays, nodes, torus_table(folder))
    errors = answer.arrays["gas_errors"]
    logger.info("largest errors between gas nodes, in bands: %s", errors[:, 1])
    ds = xr.Dataset(
        {
            name: (var.dims, np.asarray(values[name], var.dtype), SSP.attrs(name))
            for name, var in SSP.variables.items()
        },
        attrs={
            "schema": SSP.tag,
            "library": str(libraries),
            "imf": _imf_name(libraries, imf_type),
            "remnants": "as FSPS: Renzini & Ciotti (1993)",
            "nebular": "Cloudy tables of FSPS" if has_nebulae else "none",
            "source": "python-fsps, extracted by pxdask",
            "solar_metallicity": answer.facts["solar_metallicity"],
            "gas_errors": json.dumps(
                {
                    axis: {"any wavelength": float(f"{a:.2g}"), "any band": float(f"{b:.2g}")}
                    for axis, (a, b) in zip(("log_u", "log_zgas"), errors, strict=True)
                }
            ),
            "key": content_key(settings),
            **{k: json.dumps(v) if isinstance(v, dict) else v for k, v in settings.items()},
        },
    )
    return SSP.validate(ds)


def product_settings(
    home: str | Path | None = None,
    *,
    imf_type: int = 1,
    options: Mapping[str, Any] | None = None,
    log_u_step: float = LOG_U_STEP,
    gas_step: float = GAS_STEP,
) -> dict[str, Any]:
    """Return the JSON values that a product depends on; arguments and errors of `extract_ssp`.

    Their content key (`pxdask.core.provenance.content_key`) names the product.
    """
    libraries = installed_libraries()
    folder = usable_home(home, libraries)
    return _settings(folder, libraries, imf_type, dict(options or {}), log_u_step, gas_step)


def _settings(
    home: Path,
    libraries: Libraries,
    imf_type: int,
    options: dict[str, Any],
    log_u_step: float,
    gas_step: float,
) -> dict[str, Any]:
    """Return what a product depends on, checked."""
    numbers = [number for number, _ in IMFS.values()]
    if imf_type not in numbers:
        named = ", ".join(f"{number} {name}" for name, (number, _) in IMFS.items())
        raise ConfigError(f"imf_type = {imf_type} is none of FSPS's: {named}")
    if reserved := sorted(_RESERVED & set(options)):
        raise ConfigError(
            f"{', '.join(reserved)}: not options of simple populations; imf_type is an argument"
            " of its own, star formation, dust, gas and smoothing belong to the models"
        )
    for name, value in options.items():
        if not isinstance(value, (bool, int, float)):
            raise ConfigError(f"option {name} = {value!r}: FSPS takes numbers and switches")
    if min(log_u_step, gas_step) <= 0:
        raise ConfigError(f"log_u_step = {log_u_step}, gas_step = {gas_step}: must be positive")
    if imf_type == IMFS["tabulated"][0] and not (home / "data" / "imf.dat").is_file():
        raise ConfigError(f"imf_type = {imf_type} needs {home}/data/imf.dat, which is not there")
    return {
        "extractor": EXTRACTOR_VERSION,
        "fsps": libraries.version,
        "isochrones": libraries.isochrones,
        "spectra": libraries.spectra,
        "dust_model": libraries.dust,
        "imf_type": imf_type,
        "options": options,
        "sps_home_revision": revision(home),
        "sps_home_files": fingerprint(home, required_files(home, libraries)),
        "log_u_step": log_u_step,
        "gas_step": gas_step,
        "mantissa_bits": _MANTISSA_BITS,
    }


def _imf_name(libraries: Libraries, imf_type: int) -> str:
    """Return the name of an initial mass function; BPASS has its own."""
    if libraries.isochrones == "bpss":
        return "Salpeter (1955), 100 Msun, of BPASS"
    return next(name for number, name in IMFS.values() if number == imf_type)


def _nodes(
    home: Path, libraries: Libraries, settings: Mapping[str, Any], *, has_nebulae: bool
) -> dict[str, Floats]:
    """Return the nodes of gas and dust."""
    if libraries.dust not in _U_MIN:
        raise ConfigError(
            f"dust emission of {libraries.dust} is not known; FSPS must be built with one of"
            f" {', '.join(_U_MIN)}"
        )
    nodes = {
        "q_pah": np.array(_Q_PAH[libraries.dust]),
        "u_min": np.array([float(word) for word in _U_MIN[libraries.dust].split()]),
        "log_u": np.array([-4.0, -1.0]),
        "log_zgas": np.array([-2.0, 0.5]),
        "log_age_gas": np.log10([5e5, 2e7]),
    }
    if has_nebulae:
        kind = "WD" if settings["options"].get("cloudy_dust") else "ND"
        log_zgas, log_age, log_u = gas_nodes(home, nebular_file(libraries, kind=kind))
        nodes["log_u"] = finer(log_u, settings["log_u_step"])
        nodes["log_zgas"] = finer(log_zgas, settings["gas_step"])
        nodes["log_age_gas"] = log_age
    return nodes


def finer(nodes: Floats, step: float) -> Floats:
    """Return ``nodes`` (n,), increasing, with equal steps put between those wider than ``step``."""
    counts = np.maximum(np.ceil(np.diff(nodes) / step - 1e-9), 1).astype(int)
    pieces = [
        low + (high - low) * np.arange(count) / count
        for low, high, count in zip(nodes, nodes[1:], counts, strict=False)
    ]
    return np.concatenate([*pieces, nodes[-1:]])


def _values(
    arrays: Mapping[str, Floats], nodes: Mapping[str, Floats], torus: tuple[Floats, Floats, Floats]
) -> dict[str, Floats | NDArray[np.float32]]:
    """Return the variables of the product from what FSPS gave."""
    wave = arrays["wave"]
    edges = midpoints(wave)
    per_angstrom = C_ANGSTROM_S / wave**2
    dust = _rounded(arrays["dust"] * per_angstrom)
    kept = ("log_z", "log_age", "surviving", "luminosity", "log_age_young")
    return {
        **{name: arrays[name] for name in kept},
        **{name: nodes[name] for name in ("log_u", "log_zgas", "q_pah", "u_min")},
        "wave": wave,
        "wave_edges": edges,
        "flux": _rounded(arrays["flux"] * per_angstrom),
        "ionising": arrays["ionising"] / _PHOTONS,
        "nebular": _rounded(arrays["nebular"] * (per_angstrom * _PHOTONS)),
        "dust": dust,
        "dust_power": np.asarray(dust * np.diff(edges)).sum(axis=-1),
        "tau_agn": torus[0],
        "torus": _rounded(_torus(wave, torus[1], torus[2]) * per_angstrom),
    }


def midpoints(wave: Floats) -> Floats:
    """Return edges (n_wave + 1,) of bins around wavelengths: halfway, and as far at the ends."""
    middle = (wave[1:] + wave[:-1]) / 2
    ends = 2 * wave[[0, -1]] - middle[[0, -1]]
    return np.concatenate([ends[:1], middle, ends[1:]])


def _torus(wave: Floats, nodes: Floats, spectra: Floats) -> Floats:
    """Return tori (tau, n_wave) [Hz-1] between the table's wavelengths, power laws as in FSPS.

    FSPS goes on with the first power law to the wavelength before the table's first.
    """
    table, x = np.log10(spectra + _FLOOR), np.log10(nodes)
    first = max(int(np.searchsorted(wave, nodes[0], side="right")) - 1, 0)
    last = int(np.searchsorted(wave, nodes[-1], side="right"))
    at = np.log10(wave[first:last])
    low = np.clip(np.searchsorted(x, at, side="right") - 1, 0, x.size - 2)
    share = (at - x[low]) / (x[low + 1] - x[low])
    result = np.zeros((spectra.shape[0], wave.size))
    result[:, first:last] = 10 ** (table[:, low] * (1 - share) + table[:, low + 1] * share) - _FLOOR
    return result


def _rounded(flux: Floats) -> NDArray[np.float32]:
    """Return fluxes as float32 with few mantissa bits, to nearest, which compress well."""
    mantissa, exponent = np.frexp(np.where(flux < _FAINTEST, 0.0, flux))
    scale = 2.0 ** (_MANTISSA_BITS + 1)
    result: NDArray[np.float32] = np.ldexp(np.rint(mantissa * scale) / scale, exponent).astype(
        np.float32
    )
    return result
