"""What every settings model is made of: frozen fields, each with a unit and a meaning."""

from __future__ import annotations

from typing import Annotated, Any

from astropy.units import Quantity, Unit
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

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


Arcsec = Annotated[float, in_unit("arcsec")]
"""An angle in seconds of arc."""


class Settings(BaseModel):
    """Frozen settings; keys that are not known are faults."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
