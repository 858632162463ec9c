"""Filter curves: those that come with sedpy, and the user's own."""

from __future__ import annotations

import re
from difflib import get_close_matches
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import numpy as np
import xarray as xr

from pxdask.core.bandpass import Filter
from pxdask.core.errors import ConfigError
from pxdask.core.schema import FILTERS
from pxdask.kernels.bandpass import pivot_wave

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

ALIASES = {
    **{f"sdss_{band}": f"sdss_{band}0" for band in "ugriz"},
    **{f"2mass_{band}": f"twomass_{band}" for band in ("J", "H", "Ks")},
    "2mass_k": "twomass_Ks",
    **{
        f"spitzer_irac_{wave}": f"spitzer_irac_ch{channel}"
        for channel, wave in enumerate(("36", "45", "58", "80"), start=1)
    },
}
"""Names of piXedfit and common use, and the sedpy curves they mean."""

_REWRITTEN = (
    (re.compile(r"^hst_acs_(?:wfc_)?(f\d+\w+)$"), r"acs_wfc_\1"),
    (re.compile(r"^hst_(wfc3_(?:ir|uvis)_f\d+\w+)$"), r"\1"),
    (re.compile(r"^(?:hst_)?wfc3_(f(?:0|1[0-6])\d+\w+)$"), r"wfc3_ir_\1"),
    (re.compile(r"^jwst_(?:nircam|miri)_(f\d+\w+)$"), r"jwst_\1"),
    (re.compile(r"^vircam_(\w+)$"), r"vista_vircam_\1"),
)
"""Patterns of names, in lower case, that other programs use for whole sets of filters."""

_ENERGY = re.compile(r"^(herschel_(pacs|spire)_\d+|spitzer_mips_70_dpe)$")
"""Sedpy curves per unit energy. The notes in the files say per photon of GALEX, SDSS, 2MASS,
MIPS (converted), NIRCam, MIRI; the photon pivots of WISE agree with E. L. Wright's 3.368,
4.618, 12.08 and 22.19 micron, those of IRAC with the handbook's 3.550-7.872 micron to 0.2 per
cent. The notes on PACS speak of transmitted flux density, and both Herschel cameras are
bolometers. ``dpe`` divided by wavelength is the photon curve of MIPS 70. Other curves are
taken as sedpy takes them: per photon, in vacuum."""


def load_filters(names: Sequence[str]) -> tuple[Filter, ...]:
    """Return the curves of filters.

    Parameters
    ----------
    names : sequence of str
        Names of sedpy or piXedfit, upper or lower case, or paths of ASCII files with the
        columns wavelength [Angstrom, vacuum] and response per photon.

    Returns
    -------
    filters : tuple of Filter
        In the order asked for, called as they were asked for. Points are sorted, repeated
        wavelengths and values that are not finite are dropped, negative responses set to
        zero, and all but one of the zeros at either end removed.

    Raises
    ------
    ConfigError
        Naming every unknown filter and every unusable file at once.
    """
    found, faults = [], []
    for name in names:
        try:
            found.append(_load(name))
        except ConfigError as error:
            faults.append(str(error))
    if faults:
        raise ConfigError("filters that cannot be used:\n  - " + "\n  - ".join(faults))
    return tuple(found)


@cache
def filter_names() -> tuple[str, ...]:
    """Return every name that `load_filters` knows, aliases of single filters included."""
    return tuple(sorted({*_sedpy_curves(), *ALIASES}))


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
        Filter(str(name), wave, response, cast("Literal['photon', 'energy']", str(detector)))
        for name, wave, response, detector in curves
    )


def _load(name: str) -> Filter:
    """Return one curve."""
    stem = _sedpy_name(name)
    if stem is not None:
        path = _sedpy_curves()[stem]
        return _read(path, name=name, detector="energy" if _ENERGY.match(stem) else "photon")
    if Path(name).is_file():
        return _read(Path(name), name=name, detector="photon")
    known = {known.lower(): known for known in filter_names()}
    close = [known[match] for match in get_close_matches(name.lower(), known, n=3, cutoff=0.5)]
    hint = f"; close to {', '.join(close)}" if close else ""
    raise ConfigError(f"{name!r} is neither a known filter nor a file{hint}")


def _sedpy_name(name: str) -> str | None:
    """Return the sedpy curve that a name means, or None."""
    lower = name.lower()
    for pattern, replacement in _REWRITTEN:
        lower = pattern.sub(replacement, lower)
    aliases = {alias.lower(): stem for alias, stem in ALIASES.items()}
    lower = aliases.get(lower, lower).lower()
    curves = _sedpy_curves()
    return name if name in curves else {stem.lower(): stem for stem in curves}.get(lower)


@cache
def _sedpy_curves() -> dict[str, Path]:
    """Return the files of the curves that come with sedpy, by name."""
    spec = find_spec("sedpy")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError('filter curves come with sedpy: `pip install "astro-sedpy>=0.4"`')
    folder = Path(spec.submodule_search_locations[0]) / "data" / "filters"
    return {path.stem: path for path in sorted(folder.glob("*.par"))}


def _read(path: Path, *, name: str, detector: Literal["photon", "energy"]) -> Filter:
    """Return the curve in the first two columns of a text file."""
    try:
        table = np.loadtxt(path, usecols=(0, 1), ndmin=2, dtype=np.float64)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{name!r}: {path} does not hold two columns of numbers, wavelength [Angstrom] and"
            f" response ({error})"
        ) from error
    wave, response = _clean(table[:, 0], table[:, 1])
    if wave.size < 2:
        raise ConfigError(f"{name!r}: {path} has no two wavelengths around a positive response")
    return Filter(name=name, wave=wave, transmission=response, detector=detector)


def _clean(
    wave: NDArray[np.float64], response: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return a curve sorted, without repeats, gaps, negative values or padding."""
    usable = np.isfinite(wave) & np.isfinite(response) & (wave > 0)
    wave, first = np.unique(wave[usable], return_index=True)
    response = np.maximum(response[usable][first], 0.0)
    positive = np.flatnonzero(response)
    if positive.size == 0:
        return wave[:0], response[:0]
    kept = slice(max(positive[0] - 1, 0), positive[-1] + 2)
    return wave[kept], response[kept]
