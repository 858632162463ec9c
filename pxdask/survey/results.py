"""The results of a run, as astropy Tables and xarray Datasets."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.table import QTable, Table, vstack

from pxdask.core.config import SurveyConfig
from pxdask.core.errors import ConfigError
from pxdask.io.catalog import read_catalog
from pxdask.io.stores import read
from pxdask.survey.manifest import Manifest, Record, record_table
from pxdask.survey.plan import PRODUCT_FILES, Task
from pxdask.survey.stages import STAGES

if TYPE_CHECKING:
    import xarray as xr

CONFIG = "config.yaml"
CATALOG = "catalog.parquet"
RUN = "run.json"
MANIFEST = "manifest"


@dataclass(frozen=True)
class Run:
    """A run on disk.

    Attributes
    ----------
    store : Path
        Its folder.
    config : SurveyConfig
        Its settings.
    data_root : str
        What ``{data_root}`` stands for.
    """

    store: Path
    config: SurveyConfig
    data_root: str

    @property
    def catalog(self) -> Table:
        """The galaxies of the run."""
        return read_catalog(self.store / CATALOG)

    @property
    def galaxies(self) -> list[str]:
        """Identifiers of the galaxies, in the order of the catalogue."""
        return [str(name) for name in self.catalog["id"]]

    def records(self) -> dict[tuple[str, str, str], Record]:
        """Return the newest manifest row of each task: (galaxy, stage, part)."""
        return Manifest(self.store / MANIFEST).latest()

    def manifest(self) -> Table:
        """Return all manifest rows, oldest first."""
        return record_table(list(Manifest(self.store / MANIFEST).records()))

    def failures(self) -> Table:
        """Return one row for each task whose newest outcome is a failure, with its reason."""
        return record_table([r for r in self.records().values() if r.outcome == "failed"])

    def status(self) -> Table:
        """Return the number of tasks per stage and outcome, and the wall time they took in all."""
        counts: Counter[tuple[str, str]] = Counter()
        seconds: defaultdict[str, float] = defaultdict(float)
        for record in self.records().values():
            counts[record.stage, "done" if record.ok else record.outcome] += 1
            seconds[record.stage] += record.seconds
        stages = ["inputs", *STAGES] if counts["inputs", "failed"] else list(STAGES)
        table = Table(
            {
                "stage": stages,
                "done": [counts[stage, "done"] for stage in stages],
                "failed": [counts[stage, "failed"] for stage in stages],
                "task_time": [round(seconds[stage], 2) for stage in stages],
            }
        )
        table["task_time"].unit = "s"
        return table

    def finished(self) -> list[str]:
        """Return the galaxies whose end products are there."""
        records = self.records()
        return [name for name in self.galaxies if self._ok(records, name, "products")]

    def dataset(self, galaxy: str, stage: str, part: str = "") -> xr.Dataset:
        """Return one stage's output for a galaxy.

        Parameters
        ----------
        galaxy : str
            Identifier.
        stage : {"image", "cube", "bins", "fit", "maps"}
            Stage.
        part : str
            Band, for the image stage.

        Raises
        ------
        ConfigError
            If there is no such output, saying what became of it.
        """
        return read(self._task(galaxy, stage, part).path(self.store))

    def maps(self, galaxy: str) -> xr.Dataset:
        """Return the maps of a galaxy; see `dataset`."""
        return self.dataset(galaxy, "maps")

    def product_paths(self, galaxy: str) -> dict[str, Path]:
        """Return the files made for people: ``maps`` (FITS) and ``summary`` (PNG)."""
        task = self._task(galaxy, "products", "")
        return {
            name: Task(galaxy, name, "", task.key).path(self.store, suffix)
            for name, suffix in PRODUCT_FILES.items()
        }

    def bin_table(self, galaxy: str) -> QTable:
        """Return one row for each bin of a galaxy: pixels and posterior quantiles, with units.

        ``flags`` are those of `pxdask.core.flags.Flag`: look at FEW_MODELS before trusting an
        interval.
        """
        bins, fit = self.dataset(galaxy, "bins"), self.dataset(galaxy, "fit")
        n_bin = bins.sizes["bin"]
        columns: dict[str, Any] = {
            "galaxy": [galaxy] * n_bin,
            "bin": np.arange(n_bin),
            "n_pix": bins["n_pix"].values,
            **{name: fit[name].values for name in ("chi2", "n_eff", "flags")},
        }
        table = QTable(columns)
        for name, variable in fit.data_vars.items():
            if variable.dims != ("bin", "quantile"):
                continue
            for index, quantile in enumerate(fit["quantile"].values):
                column = f"{name}_p{100 * quantile:.0f}"
                table[column] = variable.values[:, index]
                table[column].info.description = str(variable.attrs.get("long_name", ""))
                table[column].info.unit = variable.attrs.get("units", "")
        return table

    def bins(self) -> QTable:
        """Return the bin tables of all finished galaxies, one under the other."""
        tables = [self.bin_table(name) for name in self.finished()]
        return vstack(tables) if tables else QTable()

    def _ok(self, records: dict[tuple[str, str, str], Record], galaxy: str, stage: str) -> bool:
        record = records.get((galaxy, stage, ""))
        return record is not None and record.ok

    def _task(self, galaxy: str, stage: str, part: str) -> Task:
        """Return the task whose output is current."""
        record = self.records().get((galaxy, stage, part))
        if record is None or not record.ok:
            why = f"it failed: {record.error}" if record else "it has not been made"
            raise ConfigError(f"{self.store}: no {stage} {part} of galaxy {galaxy!r}: {why}")
        return Task(galaxy, stage, part, record.key)


def open_run(store: str | Path) -> Run:
    """Return the run in a folder.

    Raises
    ------
    ConfigError
        If the folder holds no run.
    """
    folder = Path(store).resolve()
    if not (folder / RUN).is_file():
        raise ConfigError(f"{folder} is not a run: it has no {RUN}")
    facts = json.loads((folder / RUN).read_text(encoding="utf-8"))
    return Run(folder, SurveyConfig.load(folder / CONFIG), facts["data_root"])
