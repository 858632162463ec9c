"""The user's own library of filter curves, known by name to every survey."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from astropy.table import Table

from pxdask.core.config import user_folder
from pxdask.core.errors import ConfigError, StoreError
from pxdask.core.files import write_with
from pxdask.io.filter_files import read_curve
from pxdask.io.filters import package_curve, user_curves

if TYPE_CHECKING:
    from pxdask.core.bandpass import Filter

_NAME = re.compile(r"^\w[\w.+-]*$", re.ASCII)


def add_filter(
    name: str,
    source: str | Path,
    *,
    curve: str | None = None,
    detector: str | None = None,
    unit: str | None = None,
    overwrite: bool = False,
) -> Filter:
    """Keep a curve in the user's library, and return it.

    Runs keep copies of their curves: changing the library later does not change them.

    Parameters
    ----------
    name : str
        Letters, digits and ``_ . + -``; upper and lower case count as equal. Not the name of
        a curve that a package has.
    source : str or Path
        File of the curve, or folder of piXedfit's library; see `read_curve` for its forms and
        for ``curve``, ``detector`` and ``unit``.
    overwrite : bool
        Whether a curve of this name may be replaced.

    Returns
    -------
    band : Filter
        As `load_filters` will return it.

    Raises
    ------
    ConfigError
        If the name is not free or not allowed, or the file cannot be used.
    StoreError
        If the library cannot be written.
    """
    if not _NAME.match(name):
        raise ConfigError(f"filter name {name!r}; wanted letters, digits and _ . + - only")
    packaged = package_curve(name)
    if packaged is not None:
        raise ConfigError(
            f"{name!r} is {packaged.curve} of {packaged.collection}; choose another name, so that"
            " a name means one curve everywhere"
        )
    target = user_folder() / "filters" / f"{name.lower()}.ecsv"
    if target.exists() and not overwrite:
        raise ConfigError(f"there is a filter {name!r} in {target}; to replace it say --overwrite")
    path = Path(source)
    band = read_curve(path, name=name, curve=curve, detector=detector, unit=unit)
    _write(band, target, source=f"{path.name} {curve or ''}".strip())
    return band


def remove_filter(name: str) -> Path:
    """Remove a curve from the user's library, and return the path it had.

    Raises
    ------
    ConfigError
        If the library has no such curve.
    StoreError
        If it cannot be removed.
    """
    present = user_curves()
    path = present.get(name.lower())
    if path is None:
        kept = ", ".join(present) or "none"
        raise ConfigError(
            f"there is no filter {name!r} of your own to remove; there are: {kept}"
            f" (in {user_folder() / 'filters'})"
        )
    try:
        path.unlink()
    except OSError as error:
        raise StoreError(f"cannot remove {path}: {error}") from error
    return path


def _write(band: Filter, path: Path, *, source: str) -> None:
    """Write a curve, with where it came from."""
    table = Table(
        {"wavelength": band.wave, "response": band.transmission},
        units={"wavelength": "Angstrom"},
        meta={"detector": band.detector, "source": source},
    )

    def save(part: Path) -> None:
        table.write(part, format="ascii.ecsv")

    write_with(save, path)
