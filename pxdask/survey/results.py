"""The results of a run, as astropy Tables and xarray Datasets."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from astropy.table import QTable, Table, vstack

from pxdask.core.config import SurveyConfig
from pxdask.core.errors import ConfigError
from pxdask.core.flags import Flag
from pxdask.core.remote import local_copy, location
from pxdask.io.catalog_file import CatalogFile
from pxdask.survey.manifest import MANIFEST, OK, Manifest, Record, record_table
from pxdask.survey.plan import FILES_BESIDE, PRODUCT_FILES, Task
from pxdask.survey.stages import STAGES, stages_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import xarray as xr
    from matplotlib.figure import Figure

    from pxdask.survey.care.explain import Explanation
    from pxdask.survey.care.verify import Verified
    from pxdask.survey.collect import Collected
    from pxdask.survey.exchange.exporting import Exported, Layout, Target
    from pxdask.survey.looking.reporting import Report
    from pxdask.survey.looking.viewing import Viewer
    from pxdask.survey.manifest import ManifestIndex
    from pxdask.survey.posterior import Posterior

CONFIG = "config.yaml"
CATALOG = "catalog.parquet"
RUN = "run.json"


@dataclass(frozen=True)
class RunRecords:
    """What a run's folder tells without its settings.

    Attributes
    ----------
    store : Path
        The folder.
    """

    store: Path

    @property
    def versions(self) -> dict[str, str]:
        """Versions of the packages that the run was begun with."""
        return self._texts("versions")

    @property
    def checksums(self) -> dict[str, str]:
        """Checksums of its own copies of settings and catalogue, by name; of older runs none."""
        return self._texts("checksums")

    def _texts(self, fact: str) -> dict[str, str]:
        """Return texts by name of which the run took note when it was begun; of older runs none."""
        facts = json.loads((self.store / RUN).read_text(encoding="utf-8"))
        return {str(name): str(text) for name, text in facts.get(fact, {}).items()}

    @property
    def catalog(self) -> Table:
        """The galaxies of the run, in memory."""
        return self.catalog_file.table()

    @property
    def catalog_file(self) -> CatalogFile:
        """The galaxies of the run, read some at a time."""
        return CatalogFile(self.store / CATALOG)

    @property
    def galaxies(self) -> list[str]:
        """Identifiers of the galaxies, in the order of the catalogue."""
        return list(self.catalog_file.ids())

    def records(self) -> dict[tuple[str, str, str], Record]:
        """Return the newest manifest row of each task: (galaxy, stage, part); all in memory."""
        return self._manifest.latest()

    def manifest(self) -> Table:
        """Return all manifest rows, oldest first."""
        return record_table(list(self._manifest.records()))

    def failures(self) -> Table:
        """Return one row for each task whose newest outcome is a failure, with its reason."""
        return record_table(self._manifest.failures())

    def status(self) -> Table:
        """Return the number of tasks per stage and outcome, and the wall time they took in all.

        Stages are those that were tried.
        """
        return self._counted(None)

    def _counted(self, stages: Sequence[str] | None) -> Table:
        """Return what `status` does, of some stages, or of those that were tried."""
        counts: Counter[tuple[str, str]] = Counter()
        seconds: defaultdict[str, float] = defaultdict(float)
        with closing(self._manifest.index()) as index:
            for stage, outcome, count, spent in index.counts():
                counts[stage, "done" if outcome in OK else outcome] += count
                seconds[stage] += spent
        wanted = [stage for stage in STAGES if stage in seconds] if stages is None else stages
        listed = [*(["inputs"] if counts["inputs", "failed"] else []), *wanted]
        table = Table(
            {
                "stage": listed,
                "done": [counts[stage, "done"] for stage in listed],
                "failed": [counts[stage, "failed"] for stage in listed],
                "task_time": [round(seconds[stage], 2) for stage in listed],
            }
        )
        table["task_time"].unit = "s"
        return table

    def finished(self) -> list[str]:
        """Return the galaxies whose end products are there."""
        with closing(self._manifest.index()) as index:
            made = index.made("products")
        return [name for name in self.catalog_file.ids() if name in made]

    @property
    def _manifest(self) -> Manifest:
        """The manifest, for reading."""
        return Manifest(self.store / MANIFEST)


@dataclass(frozen=True)
class Run(RunRecords):
    """A run on disk.

    Attributes
    ----------
    store : Path
        Its folder.
    config : SurveyConfig
        Its settings.
    data_root : str
        What ``{data_root}`` stands for.
    index : ManifestIndex or None
        The manifest, read once, for who looks at many galaxies; None: read at each look.
    """

    config: SurveyConfig
    data_root: str
    index: ManifestIndex | None = field(default=None, repr=False, compare=False)

    def tried(self, galaxy: str) -> list[Record]:
        """Return all manifest rows of a galaxy, oldest first; with `index` the newest of each."""
        if self.index is not None:
            return list(self.index.of(galaxy).values())
        return list(self._manifest.records(galaxy))

    def status(self) -> Table:
        """Return the number of tasks per stage and outcome, and the wall time they took in all.

        Stages are those that the settings have.
        """
        return self._counted(stages_of(self.config))

    def dataset(self, galaxy: str, stage: str, part: str = "") -> xr.Dataset:
        """Return one stage's output for a galaxy.

        Parameters
        ----------
        galaxy : str
            Identifier.
        stage : str
            Stage: image, cube, morphology, spectra, bins, fit, integrated, lines, maps or radial.
        part : str
            Band, for the image stage.

        Raises
        ------
        ConfigError
            If there is no such output, saying what became of it.
        """
        from pxdask.io.stores import read  # noqa: PLC0415  loads what reads arrays

        return read(self._task(galaxy, stage, part).path(self.store))

    def verify(self) -> Verified:
        """Return what the run's files are; see `pxdask.survey.care.verify.verify`."""
        from pxdask.survey.care.verify import verify  # noqa: PLC0415  loads the whole pipeline

        return verify(self)

    def collect(self, *, formats: Sequence[str] = ("fits", "ecsv", "parquet")) -> Collected:
        """Write all galaxies and bins into one store and tables; see `pxdask.survey.collect`."""
        from pxdask.survey.collect import collect  # noqa: PLC0415  loads what it needs

        return collect(self, formats=formats)

    def export(
        self,
        to: Target,
        folder: str | Path,
        *,
        galaxies: Sequence[str] = (),
        layout: Layout = "current",
        overwrite: bool = False,
    ) -> Exported:
        """Write outputs as files for other tools; see `pxdask.survey.exchange.exporting.export`."""
        from pxdask.survey.exchange.exporting import export  # noqa: PLC0415  loads what it needs

        return export(
            self, to=to, folder=folder, galaxies=galaxies, layout=layout, overwrite=overwrite
        )

    def report(
        self,
        folder: str | Path | None = None,
        *,
        galaxies: Sequence[str] = (),
        overwrite: bool = False,
        workers: int | None = None,
    ) -> Report:
        """Write pages to open in a browser; see `pxdask.survey.looking.reporting.write_report`."""
        from pxdask.survey.looking.reporting import write_report  # noqa: PLC0415  loads what it needs

        return write_report(self, folder, galaxies=galaxies, overwrite=overwrite, workers=workers)

    def view(self, galaxy: str, *, max_side: int = 160) -> Viewer:
        """Return the interactive viewer of a galaxy; see `pxdask.survey.looking.viewing.view`."""
        from pxdask.survey.looking.viewing import view  # noqa: PLC0415  loads what it needs

        return view(self, galaxy, max_side=max_side)

    def plot(self, galaxy: str, kind: str = "summary", **options: Any) -> Figure:  # noqa: ANN401
        """Return a figure of a galaxy; for kinds see `pxdask.survey.looking.plotting`."""
        from pxdask.survey.looking.plotting import draw  # noqa: PLC0415  loads what it needs

        return draw(self, galaxy, kind, **options)

    def table(self) -> QTable:
        """Return one row for each galaxy, with units, as of the last `collect`.

        Raises
        ------
        ConfigError
            If nothing was collected.
        """
        from pxdask.survey.collected import galaxy_table  # noqa: PLC0415  loads what it needs

        return galaxy_table(self.store)

    def usage(self, by: Literal["stage", "galaxy"] = "stage") -> Table:
        """Return number and size of the run's files, by stage or by galaxy."""
        from pxdask.survey.care.space import usage  # noqa: PLC0415  loads the whole pipeline

        return usage(self, by)

    def maps(self, galaxy: str) -> xr.Dataset:
        """Return the maps of a galaxy; see `dataset`."""
        return self.dataset(galaxy, "maps")

    def morphology(self, galaxy: str) -> xr.Dataset:
        """Return the Sersic profiles of a galaxy, with stamps, models and residuals.

        Where the settings have ``morphology``; see `dataset` for the error raised, and
        docs/morphology.md for what is in it.
        """
        return self.dataset(galaxy, "morphology")

    def morphology_paths(self, galaxy: str) -> dict[str, Path]:
        """Return the files of a galaxy's Sersic profiles made for people: ``fits`` and ``png``."""
        task = self._task(galaxy, "morphology", "")
        return {end.lstrip("."): task.path(self.store, end) for end in FILES_BESIDE["morphology"]}

    def row(self, galaxy: str) -> dict[str, object]:
        """Return a galaxy's row of the catalogue.

        Raises
        ------
        ConfigError
            If it is not in the catalogue.
        """
        row = self.catalog_file.row(galaxy)
        if row is None:
            raise ConfigError(f"{self.store}: galaxy {galaxy!r} is not in the catalogue")
        return row

    def line_maps(self, galaxy: str) -> xr.Dataset:
        """Return maps of emission lines, of the break at 4000 Angstrom, of SFR by H alpha.

        Where the survey has spectral cubes; see `pxdask.ifs.paint_products`, and `dataset` for
        the error raised.
        """
        from pxdask.ifs import paint_products  # noqa: PLC0415  loads the models' code

        return paint_products(self.dataset(galaxy, "lines"))

    def product_paths(self, galaxy: str) -> dict[str, Path]:
        """Return the files made for people: ``maps`` (FITS) and ``summary`` (PNG)."""
        task = self._task(galaxy, "products", "")
        return {
            name: Task(galaxy, name, "", task.key).path(self.store, suffix)
            for name, suffix in PRODUCT_FILES.items()
        }

    def explain(self, galaxy: str, *, stage: str | None = None) -> Explanation:
        """Return what made each file of a galaxy; see `pxdask.survey.care.explain.explain`."""
        from pxdask.survey.care.explain import explain  # noqa: PLC0415  loads the whole pipeline

        return explain(self, galaxy, stage=stage)

    def bin_table(self, galaxy: str) -> QTable:
        """Return one row for each bin of a galaxy: pixels and posterior quantiles, with units.

        ``flags`` are those of `pxdask.core.flags.Flag`: look at FEW_MODELS before trusting an
        interval.
        """
        from pxdask.fitting.tables import add_results  # noqa: PLC0415  loads the fitters

        bins, fit = self.dataset(galaxy, "bins"), self.dataset(galaxy, "fit")
        n_bin = bins.sizes["bin"]
        columns: dict[str, Any] = {
            "galaxy": [galaxy] * n_bin,
            "bin": np.arange(n_bin),
            "n_pix": bins["n_pix"].values,
            **{name: fit[name].values for name in ("chi2", "n_eff", "flags")},
        }
        table = QTable(columns)
        add_results(table, fit, moments=False)
        return table

    def posterior(self, galaxy: str) -> Posterior:
        """Return the posteriors of a galaxy's bins: samples, model SEDs, histories.

        Samples, and what needs them, are there where the run kept some: ``fit.n_samples``.

        Raises
        ------
        ConfigError
            If there is no fit of the galaxy; see `dataset`.
        """
        # these load the code of images, models and fits
        from pxdask.io.filters import load_filters  # noqa: PLC0415
        from pxdask.io.sed_tables import seds_dataset  # noqa: PLC0415
        from pxdask.survey.inspect import resolved_bands  # noqa: PLC0415
        from pxdask.survey.posterior import ModelSource, Posterior  # noqa: PLC0415
        from pxdask.survey.seds.inputs import SPECTRAL  # noqa: PLC0415

        bins, fit = self.dataset(galaxy, "bins"), self.dataset(galaxy, "fit")
        row = self.row(galaxy)
        bands = resolved_bands(row, self.config, root=self.data_root)
        curves = load_filters([band.filter for band in bands])
        n_bin = bins.sizes["bin"]
        seds = seds_dataset(
            [f"{galaxy}-{i}" for i in range(n_bin)],
            bands=[str(name) for name in bins["band"].values],
            pivot_wave=bins["pivot_wave"].values,
            flux=bins["flux"].values,
            flux_err=bins["flux_err"].values,
            redshift=np.full(n_bin, float(str(row["redshift"]))),
            upper_limit=(bins["flags"].values & int(Flag.UPPER_LIMIT)) != 0,
            spectra={name: bins[name].values for name in SPECTRAL if name in bins},
        )
        source = ModelSource(
            self.config.models,
            {band.name: curve for band, curve in zip(bands, curves, strict=True)},
            self.config.seed,
        )
        free = "redshift" in self.config.models.priors
        return Posterior(
            fit=fit, seds=seds, model_library=source, seed=self.config.seed, free_redshift=free
        )

    def bins(self) -> QTable:
        """Return the bin tables of all finished galaxies, one under the other."""
        tables = [self.bin_table(name) for name in self.finished()]
        return vstack(tables) if tables else QTable()

    def _task(self, galaxy: str, stage: str, part: str) -> Task:
        """Return the task whose output is current."""
        newest = self._manifest.latest if self.index is None else self.index.of
        record = newest(galaxy).get((galaxy, stage, part))
        if record is None or not record.ok:
            why = f"it failed: {record.error}" if record else "it has not been made"
            if record is None and galaxy not in self.catalog_file.ids():
                why = "it is not in the catalogue"
            if record and record.outcome == "removed":
                why = "it was removed, since nothing reached it from the settings"
            what = " ".join(word for word in (stage, part) if word)
            raise ConfigError(f"{self.store}: no {what} of galaxy {galaxy!r}: {why}")
        return Task(galaxy, stage, part, record.key)


def open_run(store: str | Path) -> Run:
    """Return the run in a folder.

    Raises
    ------
    ConfigError
        If the folder holds no run.
    """
    folder = location(store)
    if not (folder / RUN).is_file():
        raise ConfigError(f"{folder} is not a run: it has no {RUN}")
    facts = json.loads((folder / RUN).read_text(encoding="utf-8"))
    with local_copy(folder / CONFIG) as config:
        return Run(folder, SurveyConfig.load(config), facts["data_root"])


def open_records(store: str | Path) -> RunRecords | None:
    """Return what a run's folder tells where its settings cannot be read; None if it is no run."""
    folder = location(store)
    return RunRecords(folder) if (folder / RUN).is_file() else None
