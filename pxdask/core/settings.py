"""What every settings model is made of: frozen fields, each with a unit and a meaning."""

from __future__ import annotations

import math
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self, get_args

import yaml
from astropy.units import Quantity, Unit
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from pxdask.core.documents import load_yaml
from pxdask.core.errors import ConfigError, DataError, brief
from pxdask.core.provenance import content_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TEXT = ""
"""Unit of settings that are names, paths, switches or pure numbers."""


def setting(default: Any = ..., *, unit: str, about: str, **limits: Any) -> Any:  # noqa: ANN401  whatever the user gave
    """Declare a field with its unit and meaning."""
    return Field(default, description=about, json_schema_extra={"unit": unit}, **limits)


def in_unit(unit: str) -> BeforeValidator:
    """Accept numbers in ``unit`` and text with any unit that converts to it."""

    def convert(value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return float(Quantity(value).to_value(Unit(unit)))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{value!r} is not a quantity in {unit}") from error

    return BeforeValidator(convert)


def in_unit_or_column(unit: str) -> BeforeValidator:
    """Accept what `in_unit` does, and the name of a catalogue column that holds it."""

    def convert(value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return float(Quantity(value).to_value(Unit(unit)))
        except (TypeError, ValueError) as error:
            if value.isidentifier():
                return value
            raise ValueError(f"{value!r} is neither a quantity in {unit} nor a column") from error

    return BeforeValidator(convert)


Arcsec = Annotated[float, in_unit("arcsec")]
"""An angle in seconds of arc."""

ArcsecOrColumn = Annotated[float | str, in_unit_or_column("arcsec")]
"""An angle in seconds of arc, or the catalogue column that holds it for each galaxy."""

DegreesOrColumn = Annotated[float | str, in_unit_or_column("deg")]
"""An angle in degrees, or the catalogue column that holds it for each galaxy."""

NumberOrColumn = Annotated[float | str, in_unit_or_column("")]
"""A pure number, or the catalogue column that holds it for each galaxy."""


def value_of(setting_value: float | str, galaxy: Mapping[str, object]) -> float:
    """Return a setting's number, taken from the catalogue row where it names a column.

    Raises
    ------
    DataError
        If the row has no such column or no finite number in it.
    """
    if not isinstance(setting_value, str):
        return float(setting_value)
    try:
        number = float(str(galaxy[setting_value]))
    except (KeyError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise DataError(
            f"galaxy {galaxy.get('id')!r}: column {setting_value!r} holds "
            f"{galaxy.get(setting_value)!r}, not a number"
        )
    return number


class Settings(BaseModel):
    """Frozen settings; keys that are not known are faults."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _fault_line(fault: Mapping[str, Any], model: type[BaseModel]) -> str:
    """Return a fault that pydantic found as one line: the key, what is wrong, what was found."""
    place, message = fault["loc"], str(fault["msg"]).removeprefix("Value error, ")
    if not place:
        return message
    if fault["type"] == "extra_forbidden":
        known = _keys_at(model, place[:-1])
        near = get_close_matches(str(place[-1]), known, n=1)
        message = f"{message}; did you mean {near[0]}?" if near else message
    line = f"{'.'.join(str(part) for part in place)}: {message}"
    return f"{line} (got {brief(fault['input'], length=60)})"


def _keys_at(model: type[BaseModel], place: Sequence[str | int]) -> list[str]:
    """Return the keys that settings have at a place; none where it cannot be told."""
    for part in place:
        if isinstance(part, int):
            continue
        field = model.model_fields.get(part)
        found = [] if field is None else _models_in(field.annotation)
        if len(found) != 1:
            return []
        model = found[0]
    return list(model.model_fields)


def _models_in(annotation: object) -> list[type[BaseModel]]:
    """Return the settings models in an annotation, such as one or none, or a tuple of one."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]


class FileSettings(Settings):
    """Settings that are a YAML file on disk."""

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Return the settings in a mapping.

        Raises
        ------
        ConfigError
            Naming every unknown key and bad value at once.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            lines = [_fault_line(fault, cls) for fault in error.errors()]
            text = "\n  - ".join(["the configuration has faults:", *lines])
            raise ConfigError(text) from error

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Return the settings in a YAML file; see `parse` for the errors."""
        try:
            text = Path(path).read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"cannot read the configuration {path}: {error.strerror}") from error
        try:
            values = load_yaml(text)
        except yaml.YAMLError as error:
            raise ConfigError(f"{path} is not YAML: {error}") from error
        if values is None:
            raise ConfigError(f"{path} holds no settings")
        if not isinstance(values, dict):
            raise ConfigError(f"{path} holds {type(values).__name__}, not a mapping of settings")
        return cls.parse(values)

    def dump(self) -> str:
        """Return the resolved settings as YAML."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)

    def key(self) -> str:
        """Return the content key of the settings."""
        return content_key(self.model_dump(mode="json"))
