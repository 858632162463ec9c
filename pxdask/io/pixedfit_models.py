"""Sets of model spectra in the HDF5 layout of piXedfit.

A group ``mod`` with the settings as attributes; ``mod/par`` with one dataset per parameter;
``mod/spec`` with the wavelengths ``wave`` and one spectrum ``f0``, ``f1``, ... per model.
Parameters have the same names there and here. Masses differ: their spectra are per solar mass
of living stars and remnants, ours per solar mass formed.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from pxdask.core.errors import ConfigError
from pxdask.core.files import refuse_existing, replacing
from pxdask.core.schema import SPECTRA
from pxdask.io.hdf5 import opened_hdf5

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_SFH = ("tau", "delayed_tau", "lognormal", "gaussian", "double_power_law")
_DUST = ("charlot_fall", "calzetti")
_IMF = ("Salpeter", "Chabrier", "Kroupa")
"""Choices by piXedfit's numbers, those of FSPS for the initial mass function."""

_PER_MASS = {
    "log_mass": "surviving",
    "log_mass_formed": "formed",
    "log_sfr": "sfr",
    "log_dustmass": "dust_mass",
    "log_dust_luminosity": "dust_luminosity",
}
"""Logarithms in their files, and our variables per mass formed."""
_RECENT = re.compile(r"^log_(sfr_\d+myr)$")
_UNITS = {
    **dict.fromkeys(("log_age", "log_tau", "log_t0", "log_mw_age"), "dex(Gyr)"),
    **dict.fromkeys(("lookback_30", "lookback_50", "lookback_70", "lookback_90"), "Gyr"),
    "log_qpah": "dex(percent)",
    "av": "mag",
    "dust_luminosity": "Lsun / Msun",
    "sfr": "1 / yr",
}
"""Units of variables that are not pure numbers or their logarithms."""

_NOTHING = -33.0
"""Logarithm that stands for zero, as in piXedfit."""
_STEP = 1e-6
"""Width of the steps between bins, in units of the narrower one's width [1]."""


def write_pixedfit_models(
    path: str | Path, spectra: xr.Dataset, *, overwrite: bool = False
) -> None:
    """Write a set of rest-frame spectra as piXedfit does.

    Parameters
    ----------
    path : Path
        Name of the file, ending in ``.hdf5``.
    spectra : xarray.Dataset
        Schema ``spectra/1``. Needed besides the parameters: ``surviving``, ``sfr``,
        ``log_mw_age``, with dust emission ``dust_mass``, with an AGN ``log_fagn_bol``; and
        the attributes ``parameters``, ``settings`` (``sfh``, ``dust``, ``dust_emission``,
        ``nebular``, ``agn``) and ``ssp`` (``imf``).
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    ConfigError
        If the file exists, something needed is missing, piXedfit has no such models, or h5py
        is not installed.
    SchemaError
        If ``spectra`` is not of its schema.
    StoreError
        If the file cannot be written.

    Notes
    -----
    piXedfit interpolates linearly between wavelengths. Each bin is therefore written as its
    two ends, so that its energy is kept: as single points, lines in narrow bins would spread
    over their wide neighbours and gain light. ``log_sfr`` is the mean of the last 100 Myr,
    in piXedfit's own files that of the moment, which it computes as if the surviving mass
    were the mass formed. Our edges, the mass formed and other derived quantities are in
    datasets that piXedfit does not look at.
    """
    path = Path(path)
    SPECTRA.validate(spectra)
    refuse_existing(path, overwrite=overwrite)
    attributes = _attributes(spectra)
    values = _their_values(spectra)
    listed = [str(attributes[f"par{i}"]) for i in range(int(attributes["nparams_all"]))]
    if missing := [name for name in listed if name not in values]:
        raise ConfigError(
            f"piXedfit's models need {', '.join(missing)}, which the spectra lack;"
            " parameters and models.derived decide what they have"
        )
    surviving = spectra["surviving"].values
    edges = spectra["wave_edges"].values
    with replacing(path) as part, opened_hdf5(part, "w") as file:
        group = file.create_group("mod")
        group.attrs.update(attributes)
        for name, value in values.items():
            group.create_dataset(f"par/{name}", data=value, compression="gzip")
        group.create_dataset("spec/wave", data=_both_ends(edges), compression="gzip")
        group.create_dataset("spec/wave_edges", data=edges, compression="gzip")
        for i, row in enumerate(spectra["flux"].values):
            flux = np.repeat(row / np.float32(surviving[i]), 2)
            group.create_dataset(f"spec/f{i}", data=flux, compression="gzip")


def read_pixedfit_models(path: str | Path) -> xr.Dataset:
    """Return a set of rest-frame spectra that piXedfit or `write_pixedfit_models` wrote.

    Parameters
    ----------
    path : Path
        An HDF5 file.

    Returns
    -------
    spectra : xarray.Dataset
        Schema ``spectra/1``. piXedfit's own files do not tell the mass formed: their spectra
        stay per solar mass of living stars and remnants, ``surviving`` is 1, other
        quantities per mass are per that mass, and ``attrs["per_mass"]`` is ``"surviving"``,
        else ``"formed"``. Each of their wavelengths becomes a bin up to half way to its
        neighbours, which keeps integrals over linear interpolation.

    Raises
    ------
    ConfigError
        If it is not such a file (the message names what is wanted and what is there), or
        h5py is not installed.
    """
    path = Path(path)
    with opened_hdf5(path) as file:
        group = _child(file, "mod", path)
        described = _described(group, path)
        count = int(_attribute(group, "nmodels", path))
        parameters = _child(group, "par", path)
        found = {name: np.asarray(parameters[name], np.float64) for name in parameters}
        for name in described["parameters"]:
            _child(parameters, name, path)
        spec = _child(group, "spec", path)
        wave = np.asarray(_child(spec, "wave", path), np.float64)
        own = "wave_edges" in spec
        edges = np.asarray(spec["wave_edges"]) if own else _half_way(wave, path)
        flux = np.empty((count, edges.size - 1), np.float32)
        for i in range(count):
            row = np.asarray(_child(spec, f"f{i}", path), np.float32)
            _check_size(row, wave.size, f"f{i}", path)
            flux[i] = row[::2] if own else row
    for name, value in found.items():
        _check_size(value, count, name, path)
    mass = 10 ** found.pop("log_mass", np.zeros(count))
    values = _our_values(found, mass)
    flux *= (values["surviving"] / mass).astype(np.float32)[:, None]
    centre = (edges[1:] + edges[:-1]) / 2 if own else wave
    per_mass = "formed" if "log_mass_formed" in found else "surviving"
    return SPECTRA.validate(
        xr.Dataset(
            {
                "flux": (("model", "wave"), flux, SPECTRA.attrs("flux")),
                "wave_edges": ("edge", edges, SPECTRA.attrs("wave_edges")),
                **{name: ("model", value, _own_attrs(name)) for name, value in values.items()},
            },
            coords={"wave": ("wave", centre, SPECTRA.attrs("wave"))},
            attrs={"schema": SPECTRA.tag, **described, "per_mass": per_mass},
        )
    )


def _attributes(spectra: xr.Dataset) -> dict[str, str | int | float]:
    """Return the attributes of their group ``mod``."""
    missing = [name for name in ("settings", "parameters", "ssp") if name not in spectra.attrs]
    if missing:
        raise ConfigError(f"the spectra lack the attributes {missing}, which make_spectra_set sets")
    settings = spectra.attrs["settings"]
    names = [name for name in spectra.attrs["parameters"] if name != "redshift"]
    listed = [*names, "log_mass", "log_sfr", "log_mw_age"]
    listed += ["log_dustmass"] * settings["dust_emission"] + ["log_fagn_bol"] * settings["agn"]
    found: dict[str, str | int | float] = {
        "imf_type": _number(_IMF, spectra.attrs["ssp"].get("imf", ""), "initial mass function"),
        "sfh_form": _number(_SFH, settings["sfh"], "star formation history"),
        "dust_law": _number(_DUST, settings["dust"], "attenuation law"),
        "duste_switch": int(settings["dust_emission"]),
        "add_neb_emission": int(settings["nebular"]),
        "add_agn": int(settings["agn"]),
        "free_gas_logz": int("gas_logz" in names),
        "smooth_velocity": 1,
        "sigma_smooth": 0.0,
        "smooth_lsf": 0,
        "funit": "L_sun/A",
        "nmodels": spectra.sizes["model"],
        "nparams": len(names),
        "nparams_all": len(listed),
    }
    found |= {f"par{i}": name for i, name in enumerate(listed)}
    priors = spectra.attrs.get("priors", {})
    for name in names:
        if name in spectra:
            ends = (spectra[name].values.min(), spectra[name].values.max())
            for end, key, value in zip(("min", "max"), ("low", "high"), ends, strict=True):
                given = priors.get(name, {}).get(key)
                found[f"pr_{name}_{end}"] = float(value if given is None else given)
    return found


def _number(choices: tuple[str, ...], value: str, what: str) -> int:
    """Return piXedfit's number of a choice; ours may say more, as in "Kroupa (2001)"."""
    for number, choice in enumerate(choices):
        if value.casefold().split(" ")[0] == choice.casefold():
            return number
    raise ConfigError(f"piXedfit has no {what} {value!r}; it has {', '.join(choices)}")


def _their_values(spectra: xr.Dataset) -> dict[str, Floats]:
    """Return what ``mod/par`` holds: parameters, and logarithms per surviving mass."""
    ours = {own: name for name, own in _PER_MASS.items()}
    if "surviving" not in spectra:
        raise ConfigError("the spectra lack 'surviving', the mass left of each solar mass formed")
    surviving = spectra["surviving"].values
    values = {"log_mass_formed": -np.log10(surviving)}
    for key, variable in spectra.data_vars.items():
        name = str(key)
        if variable.dims != ("model",):
            continue
        if name in ours or _RECENT.match(f"log_{name}"):
            per_mass = variable.values / surviving
            logarithm = np.full(per_mass.shape, _NOTHING)
            np.log10(per_mass, out=logarithm, where=per_mass > 0)
            values[ours.get(name, f"log_{name}")] = logarithm
        else:
            values[name] = variable.values
    return values


def _our_values(found: Mapping[str, Floats], mass: Floats) -> dict[str, Floats]:
    """Return variables per mass formed where it is known, else per surviving mass."""
    formed = 10 ** found["log_mass_formed"] if "log_mass_formed" in found else mass
    surviving = mass / formed
    values = {"surviving": surviving}
    for name, value in found.items():
        recent = _RECENT.match(name)
        if name in _PER_MASS or recent:
            own = recent[1] if recent else _PER_MASS[name]
            values[own] = np.where(value != _NOTHING, 10**value / formed, 0.0)
        else:
            values[name] = value
    return values


def _own_attrs(name: str) -> dict[str, str]:
    """Return unit and meaning of a variable, and as what fits report it."""
    recent = _RECENT.match(f"log_{name}")
    unit = "1 / yr" if recent else _UNITS.get(name, "dex" if name.startswith("log") else "")
    attrs = {"units": unit, "long_name": f"{name} of models in a file of piXedfit's layout"}
    own = {variable: logarithm for logarithm, variable in _PER_MASS.items()}
    if recent or name in own:
        attrs["reported_as"] = own.get(name, f"log_{name}")
    return attrs


def _described(group: Any, path: Path) -> dict[str, Any]:  # noqa: ANN401  h5py is untyped
    """Return the settings in the attributes of their group ``mod``, in our words."""
    unit = _text(_attribute(group, "funit", path))
    if unit != "L_sun/A":
        raise ConfigError(f"{path}: funit is {unit!r}; spectra in 'L_sun/A' are expected")
    n_parameter = int(_attribute(group, "nparams", path))
    names = [_text(_attribute(group, f"par{i}", path)) for i in range(n_parameter)]
    settings = {
        "sfh": _choice(_SFH, group, "sfh_form", path),
        "dust": _choice(_DUST, group, "dust_law", path),
        "dust_emission": bool(_attribute(group, "duste_switch", path)),
        "nebular": bool(_attribute(group, "add_neb_emission", path)),
        "agn": bool(_attribute(group, "add_agn", path)),
    }
    ends = {name: [group.attrs.get(f"pr_{name}_{end}") for end in ("min", "max")] for name in names}
    return {
        "sfh": settings["sfh"],
        "settings": settings,
        "parameters": names,
        "priors": {
            name: {"kind": "uniform", "low": float(low), "high": float(high)}
            for name, (low, high) in ends.items()
            if low is not None and high is not None
        },
        "ssp": {"imf": _choice(_IMF, group, "imf_type", path), "source": "piXedfit"},
    }


def _choice(choices: tuple[str, ...], group: Any, key: str, path: Path) -> str:  # noqa: ANN401  h5py is untyped
    """Return our word for a number among the attributes."""
    number = int(_attribute(group, key, path))
    if not 0 <= number < len(choices):
        raise ConfigError(f"{path}: {key} is {number}; it should be 0 to {len(choices) - 1}")
    return choices[number]


def _text(value: object) -> str:
    """Return an attribute's text, which h5py gives as str or bytes."""
    return value.decode() if isinstance(value, bytes) else str(value)


def _attribute(group: Any, key: str, path: Path) -> Any:  # noqa: ANN401  h5py is untyped
    """Return an attribute that must be there."""
    if key not in group.attrs:
        raise ConfigError(
            f"{path} is not a piXedfit model file: {group.name} lacks the attribute {key!r}; it"
            f" has {_some(group.attrs)}"
        )
    return group.attrs[key]


def _child(group: Any, key: str, path: Path) -> Any:  # noqa: ANN401  h5py is untyped
    """Return a group or dataset that must be there."""
    if key not in group:
        raise ConfigError(
            f"{path} is not a piXedfit model file: {group.name} lacks {key!r}; it has"
            f" {_some(group)}"
        )
    return group[key]


def _some(keys: Any) -> str:  # noqa: ANN401  h5py is untyped
    """Return the first of the keys as text."""
    names = sorted(str(key) for key in keys)
    return (", ".join(names[:12]) or "nothing") + (", ..." if len(names) > 12 else "")


def _check_size(values: NDArray[np.floating], size: int, name: str, path: Path) -> None:
    """Raise ConfigError unless the values are as many as there should be."""
    if values.shape != (size,):
        raise ConfigError(f"{path}: {name} has the shape {values.shape}; ({size},) is expected")


def _half_way(wave: Floats, path: Path) -> Floats:
    """Return edges half way between wavelengths, and as far beyond the outer ones."""
    if wave.ndim != 1 or wave.size < 2 or not np.all(np.diff(wave) > 0) or wave[0] <= 0:
        raise ConfigError(f"{path}: spec/wave must be positive and increase, two or more values")
    middle = (wave[1:] + wave[:-1]) / 2
    return np.concatenate([[2 * wave[0] - middle[0]], middle, [2 * wave[-1] - middle[-1]]])


def _both_ends(edges: Floats) -> Floats:
    """Return the two ends of each bin, a hair apart from those of its neighbours."""
    width = np.diff(edges)
    narrower = np.minimum(np.append(width, width[-1]), np.insert(width, 0, width[0]))
    hair = _STEP / 2 * narrower
    return np.stack([edges[:-1] + hair[:-1], edges[1:] - hair[1:]], axis=1).ravel()
