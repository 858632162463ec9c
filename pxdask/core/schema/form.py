"""What a schema is: the names, dimensions, dtypes and units of a Dataset's variables."""

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


@dataclass(frozen=True, slots=True)
class Var:
    """One variable: dimension names in order, dtype (or "this or that"), unit, meaning."""

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
    if got.dtype not in [np.dtype(name) for name in var.dtype.split(" or ")]:
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
