"""What made each file of a galaxy, and whether the current settings would still make it."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

from pxdask.core.errors import ConfigError, PxdaskError, brief
from pxdask.core.provenance import differences, package_versions
from pxdask.io.provenance import read_provenance
from pxdask.survey.context import products_known
from pxdask.survey.inspect import band_roles, inspect_galaxy
from pxdask.survey.pipeline import Pipeline
from pxdask.survey.plan import FILES_BESIDE, PRODUCT_FILES, SUFFIX, Task, galaxy_folder
from pxdask.survey.recipes import RECIPE
from pxdask.survey.stages import STAGES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pxdask.survey.manifest import Record
    from pxdask.survey.products import Products
    from pxdask.survey.recipes import Recipe
    from pxdask.survey.results import Run

State = Literal["current", "outdated", "missing", "damaged", "unknown"]
"""Whether the run's settings, catalogue and input files as they are would make the same file."""

MADE_FROM = "made from"
"""How a change begins that follows from one of another output."""

_NAME = re.compile(r"(?P<stage>[a-z]+)(-(?P<part>.+))?-(?P<key>[0-9a-f]{16})", re.ASCII)
_TOLD = ("config_key", "seeds", "versions", "code", "checksums")


@dataclass(frozen=True, slots=True)
class Output:
    """One output of a galaxy and what made it.

    Attributes
    ----------
    stage, part, key : str
        What it is; the part is a band, a block of bins or some wavelengths.
    files : tuple of str
        Its files, from the run's folder; none where it is missing.
    state : {"current", "outdated", "missing", "damaged", "unknown"}
        Whether it would be made just so today.
    why : tuple of str
        What has changed since it was made, why it is missing, or why that is not known.
    recipe : dict
        ``version`` of the stage, ``settings`` that count, catalogue ``row``, keys of the
        ``outputs`` that were read, and digests of the input ``files``.
    told : dict
        The file's own words on versions, state of the code, seeds and input checksums.
    record : dict
        Row of the manifest: host, seconds, outcome, whole settings; empty if there is none.
    sources : dict
        Where the input files are today.
    """

    stage: str
    part: str
    key: str
    files: tuple[str, ...]
    state: State
    why: tuple[str, ...] = ()
    recipe: dict[str, Any] = field(default_factory=dict)
    told: dict[str, Any] = field(default_factory=dict)
    record: dict[str, Any] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Explanation:
    """All outputs of a galaxy in the order in which data flow; see `Output`."""

    galaxy: str
    outputs: tuple[Output, ...]

    def values(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Today:
    """What a run would make of a galaxy now; ``fault`` says why that is not known."""

    recipes: Mapping[tuple[str, str], Recipe] = field(default_factory=dict)
    sources: Mapping[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    fault: str = ""


def explain(
    run: Run, galaxy: str, *, stage: str | None = None, products: Products | None = None
) -> Explanation:
    """Return what made each file of a galaxy.

    Parameters
    ----------
    run : Run
        The run.
    galaxy : str
        Identifier.
    stage : str, optional
        Only this stage.
    products : Products, optional
        What the run's tasks would share now; default: `pxdask.survey.context.products_known`.

    Raises
    ------
    ConfigError
        If there is no such stage, or the run knows nothing of the galaxy.
    """
    if stage is not None and stage not in STAGES:
        raise ConfigError(f"there is no stage {stage!r}; the stages are {', '.join(STAGES)}")
    folder = galaxy_folder(run.store, galaxy)
    row = run.catalog_file.row(galaxy)
    found = _files(folder)
    if row is None and not found:
        raise ConfigError(f"{run.store}: there is no galaxy {galaxy!r}, and no file of one")
    gone = _Today(fault="it is not in the catalogue")
    today = gone if row is None else _today(run, row, products)
    records = _records(run, galaxy)
    outputs = [
        _made(run, task, paths, records, today)
        for task, paths in found.items()
        if stage in (None, task.stage)
    ]
    there = {(output.stage, output.part) for output in outputs if output.state != "outdated"}
    outputs += [
        _missing(name, part, recipe, records)
        for (name, part), recipe in today.recipes.items()
        if (name, part) not in there and stage in (None, name) and _is_kept(name)
    ]
    order = {name: number for number, name in enumerate(STAGES)}
    outputs.sort(key=lambda output: (order[output.stage], output.part, output.state))
    return Explanation(galaxy, tuple(outputs))


def _is_kept(stage: str) -> bool:
    """Return whether a stage's outputs stay: those of slices go when the spectra are there."""
    return stage != "ifs"


def _files(folder: Path) -> dict[Task, list[Path]]:
    """Return the files in a galaxy's folder by the task that made them."""
    endings = {stage: (SUFFIX, *FILES_BESIDE.get(stage, ())) for stage in STAGES}
    found: dict[Task, list[Path]] = {}
    for path in sorted(folder.glob("*")):
        for ending in {SUFFIX, *PRODUCT_FILES.values()}:
            match = _NAME.fullmatch(path.name.removesuffix(ending))
            if match is None or not path.name.endswith(ending):
                continue
            stage = match["stage"]
            if PRODUCT_FILES.get(stage) == ending:
                stage = "products"
            elif ending not in endings.get(stage, ()):
                continue
            task = Task(folder.name, stage, match["part"] or "", match["key"])
            found.setdefault(task, []).append(path)
    return found


def _today(run: Run, row: Mapping[str, object], products: Products | None) -> _Today:
    """Return the recipes of all outputs of a galaxy, as the run would make them now."""
    if products is None:
        try:
            with TemporaryDirectory(prefix="pxdask-") as folder:
                return _today(run, row, products_known(run, Path(folder)))
        except PxdaskError as error:
            return _Today(fault=str(error))
    try:
        inputs = inspect_galaxy(row, run.config, root=run.data_root)
        pipeline = Pipeline(inputs, run.config, products)
        keys = pipeline.keys()
    except PxdaskError as error:
        return _Today(fault=str(error))
    recipes = {("image", band): pipeline.recipe("image", band) for band in inputs.checksums}
    recipes |= {(name, ""): pipeline.recipe(name, keys=keys) for name in pipeline.stages()}
    sources = {
        ("image", band.name): {role: str(path) for role, path in band_roles(band).items()}
        for band in inputs.bands
    }
    sources["morphology", ""] = {
        f"{band.name} {role}": str(path)
        for band in inputs.bands
        if band.name in pipeline.profiled
        for role, path in band_roles(band).items()
    }
    if inputs.ifs is not None:
        sources["ifs", ""] = {"ifs": str(inputs.ifs.header.path)}
    if inputs.bin_map is not None:
        sources["bins", ""] = {"map": str(inputs.bin_map.path)}
    return _Today(recipes, sources)


def _records(run: Run, galaxy: str) -> dict[tuple[str, str, str], Record]:
    """Return the manifest row of each output that was tried: the one that made it, or the last."""
    found: dict[tuple[str, str, str], Record] = {}
    for record in run.tried(galaxy):
        name = (record.stage, record.part, record.key)
        if record.outcome in ("done", "failed", "removed") or name not in found:
            found[name] = record
    return found


def _made(
    run: Run,
    task: Task,
    paths: list[Path],
    records: Mapping[tuple[str, str, str], Record],
    today: _Today,
) -> Output:
    """Return what made an output that is there."""
    files = tuple(str(path.relative_to(run.store)) for path in paths)
    record = records.get((task.stage, task.part, task.key))
    known: dict[str, Any] = {"record": asdict(record) if record is not None else {}}
    kind = (task.stage, task.part if task.stage == "image" else "")
    known["sources"] = today.sources.get(kind, {})
    telling = next((path for path in paths if path.suffix != ".png"), None)
    try:
        told = {} if telling is None else read_provenance(telling)
    except PxdaskError as error:
        return Output(task.stage, task.part, task.key, files, "damaged", (str(error),), **known)
    recipe = dict(told.get(RECIPE, {}))
    known |= {"recipe": recipe, "told": {name: told[name] for name in _TOLD if name in told}}
    state, why = _state(task, kind, recipe, today)
    return Output(task.stage, task.part, task.key, files, state, why, **known)


def _state(
    task: Task, kind: tuple[str, str], recipe: Mapping[str, Any], today: _Today
) -> tuple[State, tuple[str, ...]]:
    """Return whether an output would be made today, and what has changed if not."""
    if today.fault:
        return "unknown", (today.fault,)
    now = today.recipes.get(kind)
    if now is None:
        return "outdated", (f"the settings have no {' '.join(word for word in kind if word)} now",)
    if now.key == task.key:
        return "current", ()
    if not recipe:
        return "outdated", ("the file does not tell what made it",)
    return "outdated", tuple(_changes(recipe, now.facts()))


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterable[str]:
    """Yield what differs between two recipes, in words."""
    words = {
        "version": "version of the stage",
        "settings": "setting",
        "row": "catalogue column",
        "files": "input file",
        "outputs": MADE_FROM,
    }
    for part, meaning in words.items():
        for name, there, here in differences({"": old.get(part)}, {"": new.get(part)}):
            what = f"{meaning} {name.lstrip('.')}".strip()
            yield f"{what}: {brief(there)} when it was made, {brief(here)} now"


def _missing(
    stage: str, part: str, recipe: Recipe, records: Mapping[tuple[str, str, str], Record]
) -> Output:
    """Return what would make an output that is not there."""
    record = records.get((stage, part, recipe.key))
    why, known = "it has not been made", {}
    if record is not None:
        why = "it was removed" if record.outcome == "removed" else record.error or why
        known = asdict(record)
    return Output(stage, part, recipe.key, (), "missing", (why,), recipe.facts(), {}, known)


def other_versions(output: Output) -> dict[str, tuple[str, str]]:
    """Return the packages whose versions are others now: (when it was made, now).

    Versions are not part of keys: an output made with others is current. Whether it would be the
    same to the last bit is for ``pxdask task`` to find out.
    """
    then, now = dict(output.told.get("versions", {})), package_versions()
    return {
        name: (str(then.get(name, "absent")), str(now.get(name, "absent")))
        for name in sorted({*then, *now} if then else ())
        if then.get(name) != now.get(name)
    }
