"""Settings of fitting a catalogue of photometry."""

from __future__ import annotations

from typing import Any

from pydantic import PositiveInt, field_validator

from pxdask.core.fits import FitConfig
from pxdask.core.models import ModelConfig
from pxdask.core.settings import TEXT, FileSettings, Settings, setting


class TableBand(Settings):
    """One band of a table: its filter, and its columns."""

    name: str = setting(unit=TEXT, about="short name, unique in the catalogue")
    filter: str = setting(unit=TEXT, about="filter curve, such as sdss_r or jwst_f200w")
    flux: str | None = setting(None, unit=TEXT, about="column of fluxes; default: flux_<name>")
    flux_err: str | None = setting(
        None, unit=TEXT, about="column of their uncertainties; default: err_<name>"
    )
    limit: str | None = setting(
        None,
        unit=TEXT,
        about="column that is true where the flux is an upper limit; default: limit_<name>,"
        " where the table has it",
    )

    @property
    def columns(self) -> tuple[str, str]:
        """Names of the columns of flux and of its uncertainty."""
        return self.flux or f"flux_{self.name}", self.flux_err or f"err_{self.name}"


class CatalogConfig(FileSettings):
    """Everything that decides the posteriors of a catalogue of photometry, except its rows."""

    name: str = setting("catalog", unit=TEXT, about="name of the catalogue")
    seed: int = setting(1, unit=TEXT, about="seed of every random stream", ge=0)
    bands: tuple[TableBand, ...] = setting(
        unit=TEXT,
        about="bands: a list of name, filter and columns, or the filter of each name",
        min_length=1,
    )
    unit: str = setting("uJy", unit=TEXT, about="unit of fluxes in columns that have none")
    id: str = setting("id", unit=TEXT, about="column of names; where absent, rows are numbered")
    redshift: float | str = setting(
        "redshift", unit=TEXT, about="a redshift, or its column; of no effect where it has a prior"
    )
    block_size: PositiveInt = setting(1000, unit=TEXT, about="SEDs fitted by one task")
    models: ModelConfig = setting(ModelConfig(), unit=TEXT, about="models")
    fit: FitConfig = setting(FitConfig(), unit=TEXT, about="fitting")

    @field_validator("bands", mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:  # noqa: ANN401  whatever the user gave
        if not isinstance(value, dict):
            return value
        return [
            {"name": name, **(band if isinstance(band, dict) else {"filter": band})}
            for name, band in value.items()
        ]

    @field_validator("bands")
    @classmethod
    def _named_once(cls, bands: tuple[TableBand, ...]) -> tuple[TableBand, ...]:
        names = [band.name for band in bands]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"bands listed twice: {', '.join(twice)}")
        return bands
