"""Transmission curves in files: columns of text, VOTable, ECSV, piXedfit's HDF5."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, cast, get_args

import numpy as np
from astropy import units as u
from astropy.table import Table

from pxdask.core.bandpass import Detector, Filter
from pxdask.core.errors import ConfigError
from pxdask.io.hdf5 import opened_hdf5

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

WAVE_UNITS = {"Angstrom": 1.0, "nm": 10.0, "micron": 1e4}
"""Units of wavelength a user may name [Angstrom]."""

_SHORTEST = 100.0
"""Filters blueward of this are not filters of galaxies' stars, but in another unit [Angstrom]."""

_DETECTORS: dict[str, Detector] = {"0": "energy", "1": "photon"}
"""DetectorType of the IVOA's photometry data model (PhotDM 1.0, section 3)."""


@dataclass(frozen=True, slots=True)
class _Curve:
    """A curve as a file holds it.

    Attributes
    ----------
    wave, response : (n,) float64
        In the unit of ``unit``; without one in that unit.
    unit : astropy unit or None
        Of the wavelengths; None: the file does not say.
    detector : {"photon", "energy"} or None
        None: the file does not say.
    """

    wave: Floats
    response: Floats
    unit: u.UnitBase | None = None
    detector: Detector | None = None


def read_curve(
    path: Path,
    *,
    name: str,
    curve: str | None = None,
    detector: str | None = None,
    unit: str | None = None,
) -> Filter:
    """Return the filter in a file; its form is told by the file's ending.

    Parameters
    ----------
    path : Path
        ``.xml``, ``.vot``: VOTable of the SVO Filter Profile Service; ``.ecsv``: table with
        the columns wavelength and response; ``.hdf5``, ``.h5`` or a folder with
        ``filters_w.hdf5`` and ``filters_t.hdf5``: piXedfit's library; all others: text with
        the columns wavelength and response, divided by blanks or commas, ``#`` before comments.
    name : str
        What the filter shall be called.
    curve : str, optional
        What piXedfit calls it; default: ``name``.
    detector : {"photon", "energy"}, optional
        What the response is per; default: what the file says, else photon.
    unit : {"Angstrom", "nm", "micron"}, optional
        Of the wavelengths in a text file; default: Angstrom.

    Returns
    -------
    band : Filter
        Points are sorted, repeated wavelengths and values that are not finite are dropped,
        negative responses set to zero, and all but one of the zeros at either end removed.

    Raises
    ------
    ConfigError
        Naming the file, what was found and what was wanted.
    """
    if detector is not None and detector not in get_args(Detector):
        raise ConfigError(f"detector is {detector!r}; wanted photon or energy")
    if unit is not None and unit not in WAVE_UNITS:
        raise ConfigError(f"unit is {unit!r}; wanted one of {', '.join(WAVE_UNITS)}")
    found = _read(path, name=name, curve=curve or name)
    if unit is not None and found.unit is not None:
        raise ConfigError(f"{name!r}: {path} says its own unit, {found.unit}: leave out {unit!r}")
    factor = WAVE_UNITS[unit or "Angstrom"] if found.unit is None else found.unit.to(u.AA)
    wave, response = _clean(found.wave * factor, found.response)
    if wave.size < 2:
        raise ConfigError(f"{name!r}: {path} has no two wavelengths around a positive response")
    if wave[-1] < _SHORTEST:
        raise ConfigError(
            f"{name!r}: wavelengths in {path} end at {wave[-1]:g} Angstrom; wanted beyond"
            f" {_SHORTEST:g}: if they are in another unit, say so (unit nm or micron)"
        )
    chosen = cast("Detector | None", detector) or found.detector or "photon"
    return Filter(name=name, wave=wave, transmission=response, detector=chosen)


def pixedfit_curves(path: Path) -> tuple[str, ...]:
    """Return the names of the curves in piXedfit's library.

    Parameters
    ----------
    path : Path
        The folder of ``filters_w.hdf5`` and ``filters_t.hdf5``, or one of the two.

    Raises
    ------
    ConfigError
        If it is not such a library, or h5py is not installed.
    """
    waves, _ = _pixedfit_files(path)
    with opened_hdf5(waves) as file:
        return tuple(sorted(file))


def _read(path: Path, *, name: str, curve: str) -> _Curve:
    """Return the curve in a file of any known form."""
    if not path.exists():
        raise ConfigError(f"{name!r}: there is no file {path}")
    ending = path.suffix.lower()
    if path.is_dir() or ending in {".hdf5", ".h5"}:
        return _read_pixedfit(path, curve=curve)
    if ending in {".xml", ".vot", ".votable"}:
        return _read_votable(path)
    return _read_ecsv(path) if ending == ".ecsv" else _read_text(path, name=name)


def _read_text(path: Path, *, name: str) -> _Curve:
    """Return the curve in the first two columns of a text file."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace").replace(",", " ")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of an empty file: reported below
            table = np.loadtxt(text.splitlines(), usecols=(0, 1), ndmin=2, dtype=np.float64)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{name!r}: {path} does not hold two columns of numbers, wavelength and response"
            f" ({error})"
        ) from error
    return _Curve(table[:, 0], table[:, 1])


def _read_ecsv(path: Path) -> _Curve:
    """Return the curve in the first two columns of an ECSV file."""
    try:
        table = Table.read(path, format="ascii.ecsv")
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f"{path} is not an ECSV table: {error}") from error
    said = {str(key).lower(): value for key, value in table.meta.items()}
    return _from_table(path, table, detector=said.get("detector"))


def _read_votable(path: Path) -> _Curve:
    """Return the curve in a VOTable of the SVO Filter Profile Service."""
    from astropy.io.votable import parse  # noqa: PLC0415

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # units such as 'ephot' are not of the standard
            document = parse(path, verify="ignore")
            element = document.get_first_table()
            table = element.to_table(use_names_over_ids=True)
    except (OSError, ValueError, TypeError, IndexError) as error:
        raise ConfigError(f"{path} is not a VOTable with a curve: {error}") from error
    said = {parameter.name: parameter.value for parameter in element.params}
    told = str(said["DetectorType"]) if "DetectorType" in said else None
    if told is None and "filterID" in said:
        told = "0"  # the data model's default, which the service leaves out
    if told is not None and told not in _DETECTORS:
        raise ConfigError(f"{path}: DetectorType is {told!r}; wanted 0 (energy) or 1 (photon)")
    detector = None if told is None else _DETECTORS[told]
    return _from_table(path, table, detector=detector, unit=said.get("WavelengthUnit"))


def _from_table(path: Path, table: Table, *, detector: Any, unit: Any = None) -> _Curve:  # noqa: ANN401  astropy and h5py are untyped
    """Return the curve in the first two columns of a table, with what is said beside it."""
    if len(table.colnames) < 2:
        raise ConfigError(f"{path} has the columns {table.colnames}; wanted wavelength, response")
    if detector is not None and detector not in get_args(Detector):
        raise ConfigError(f"{path}: detector is {detector!r}; wanted photon or energy")
    wave, response = (table[column] for column in table.colnames[:2])
    said = wave.unit if wave.unit is not None else unit
    try:
        known = None if said is None else u.Unit(said)
        numbers = [_plain(each) for each in (wave, response)]
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{path}: columns {table.colnames[:2]}: {error}") from error
    if known is not None and not known.is_equivalent(u.AA):
        raise ConfigError(f"{path}: wavelengths are in {said}; wanted a unit of length")
    return _Curve(numbers[0], numbers[1], unit=known, detector=detector)


def _plain(column: Any) -> Floats:  # noqa: ANN401  astropy and h5py are untyped
    """Return a column's values without their unit, NaN where masked."""
    values = column.value if isinstance(column, u.Quantity) else column.data
    return np.asarray(np.ma.filled(np.ma.asarray(values).astype(np.float64), np.nan))


def _read_pixedfit(path: Path, *, curve: str) -> _Curve:
    """Return a curve of piXedfit's library; it takes all responses as per photon.

    Notes
    -----
    One file holds a dataset of wavelengths [Angstrom] for each filter, with its central
    wavelength as attribute, and another one of transmissions (piXedfit 1.0,
    ``utils.filtering.add_filter``).
    """
    waves, responses = _pixedfit_files(path)
    found = []
    for each in (waves, responses):
        with opened_hdf5(each) as file:
            if curve not in file:
                close = get_close_matches(curve, list(file), n=3, cutoff=0.4)
                hint = f"; close to {', '.join(close)}" if close else ""
                raise ConfigError(f"{each} has no filter {curve!r} among its {len(file)}{hint}")
            found.append(np.asarray(file[curve], dtype=np.float64))
    wave, response = found
    if wave.ndim != 1 or wave.shape != response.shape:
        raise ConfigError(
            f"{waves}: {curve!r} has wavelengths of shape {wave.shape} and responses of shape"
            f" {response.shape}; wanted two rows of equal length"
        )
    return _Curve(wave, response, unit=u.AA)


def _pixedfit_files(path: Path) -> tuple[Path, Path]:
    """Return the files of wavelengths and of transmissions."""
    folder = path if path.is_dir() else path.parent
    files = folder / "filters_w.hdf5", folder / "filters_t.hdf5"
    missing = [each.name for each in files if not each.is_file()]
    if missing:
        raise ConfigError(
            f"{folder} has no {' and no '.join(missing)}; piXedfit keeps its curves in both"
            " filters_w.hdf5 and filters_t.hdf5"
        )
    return files


def _clean(wave: Floats, response: Floats) -> tuple[Floats, Floats]:
    """Return a curve sorted, without repeats, gaps, negative values or padding."""
    usable = np.isfinite(wave) & np.isfinite(response) & (wave > 0)
    wave, first = np.unique(wave[usable], return_index=True)
    response = np.maximum(response[usable][first], 0.0)
    positive = np.flatnonzero(response)
    if positive.size == 0:
        return wave[:0], response[:0]
    kept = slice(max(positive[0] - 1, 0), positive[-1] + 2)
    return wave[kept], response[kept]
