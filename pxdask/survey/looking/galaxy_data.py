"""All that a run has of one galaxy, read when it is asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from pxdask.core.errors import ConfigError, DataError
from pxdask.fitting.tables import results_of
from pxdask.io.filters import load_filters

if TYPE_CHECKING:
    import xarray as xr

    from pxdask.core.bandpass import Filter
    from pxdask.survey.posterior import Posterior
    from pxdask.survey.results import Run

MISSING = {
    "spectra": "its survey has no spectral cubes: name them under `ifs` of the settings",
    "lines": "its survey has no spectral cubes: name them under `ifs` of the settings",
    "samples": "no posterior samples were kept: set `fit: {n_samples: 300}` and run again with"
    " --update",
    "integrated": "its whole light was not fitted: set `fit: {integrated: true}` and run again with"
    " --update",
    "morphology": "its shape was not fitted: set `morphology: {}` and run again with --update",
    "radial": "its radial profiles were not made: set `radial: {}` and run again with --update",
}
"""Why a galaxy may lack what not all runs have, and what to do about it."""


@dataclass(frozen=True, eq=False)
class GalaxyData:
    """All that a run has of one galaxy; each part is read once, when it is first asked for.

    Attributes
    ----------
    run : Run
        The run.
    galaxy : str
        Identifier.
    """

    run: Run
    galaxy: str

    @cached_property
    def row(self) -> dict[str, object]:
        """The galaxy's row of the catalogue."""
        return self.run.row(self.galaxy)

    @property
    def redshift(self) -> float:
        """Redshift of the catalogue; NaN where it has none."""
        return float(str(self.row.get("redshift", "nan")))

    @cached_property
    def cube(self) -> xr.Dataset:
        """All bands, schema image/1."""
        return self._made("cube")

    @cached_property
    def bins(self) -> xr.Dataset:
        """Bin map and fluxes, schema bins/1."""
        return self._made("bins")

    @cached_property
    def fit(self) -> xr.Dataset:
        """Posteriors of the bins, schema fit/2."""
        return self._made("fit")

    @cached_property
    def maps(self) -> xr.Dataset:
        """Maps of properties, schema maps/1."""
        return self._made("maps")

    @cached_property
    def spectra(self) -> xr.Dataset | None:
        """Spectral cube on the images' grid, schema cube/1, if there is one."""
        return self._if_made("spectra")

    @cached_property
    def lines(self) -> xr.Dataset | None:
        """Emission lines of the bins, schema lines/1, if there are spectra."""
        return self._if_made("lines")

    @cached_property
    def line_maps(self) -> xr.Dataset | None:
        """Maps of emission lines, schema line-maps/1, if there are spectra."""
        return None if self.lines is None else self.run.line_maps(self.galaxy)

    @cached_property
    def integrated(self) -> xr.Dataset | None:
        """Posterior of the whole light, schema fit/2, if it was fitted."""
        return self._if_made("integrated")

    @cached_property
    def morphology(self) -> xr.Dataset | None:
        """Shape of the galaxy, schema morphology/1, if it was fitted."""
        return self._if_made("morphology")

    @cached_property
    def radial(self) -> xr.Dataset | None:
        """Radial profiles and sizes, schema radial/1, if the settings want them."""
        return None if self.run.config.radial is None else self._if_made("radial")

    @cached_property
    def posterior(self) -> Posterior:
        """Posteriors with the models they came from: samples, model SEDs, histories."""
        return self.run.posterior(self.galaxy)

    @property
    def filters(self) -> tuple[Filter, ...]:
        """Filter curves under the names, and in the order, of the bands."""
        from pxdask.survey.inspect import resolved_bands  # noqa: PLC0415  loads the image code

        bands = resolved_bands(self.row, self.run.config, root=self.run.data_root)
        curves = load_filters([band.filter for band in bands])
        return tuple(replace(c, name=b.name) for b, c in zip(bands, curves, strict=True))

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of the bands, in the order of the cube."""
        return tuple(str(name) for name in self.bins["band"].values)

    @property
    def has_samples(self) -> bool:
        """Whether posterior samples were kept."""
        return any(f"{name}_samples" in self.fit for name in results_of(self.fit))

    def missing(self, what: str) -> str:
        """Return why the galaxy lacks something, and what would give it; "" if it is there.

        Parameters
        ----------
        what : str
            An attribute such as "maps" or "spectra"; or "samples".
        """
        try:
            there = self.has_samples if what == "samples" else getattr(self, what) is not None
        except DataError as error:
            return str(error)
        return "" if there else self._reason(what)

    def require(self, *names: str) -> None:
        """Raise `DataError` for the first of some things that the galaxy lacks; see `missing`."""
        for name in names:
            if reason := self.missing(name):
                raise DataError(f"galaxy {self.galaxy!r}: {reason}")

    def _reason(self, what: str) -> str:
        """Return why an output that not all runs have is not there."""
        tried = [record for record in self.run.tried(self.galaxy) if record.stage == what]
        if tried and not tried[-1].ok:
            return f"no {what}: it {tried[-1].outcome}: {tried[-1].error}"
        return MISSING[what]

    def _made(self, stage: str) -> xr.Dataset:
        """Return the output of a stage that every galaxy has when it is done."""
        try:
            return self.run.dataset(self.galaxy, stage)
        except ConfigError as error:
            raise DataError(str(error)) from error

    def _if_made(self, stage: str) -> xr.Dataset | None:
        """Return the output of a stage that not every run has, or None."""
        try:
            return self.run.dataset(self.galaxy, stage)
        except ConfigError:
            return None


def data_of(run: Run, galaxy: str) -> GalaxyData:
    """Return what a run has of a galaxy.

    Raises
    ------
    ConfigError
        If the galaxy is not in the catalogue.
    """
    found = GalaxyData(run, galaxy)
    _ = found.row
    return found
