"""Sersic profiles of a catalogue as one table, without maps: geometry for what comes after.

Galaxies are taken some at a time, so that those of equal form share a compiled program.
"""

from __future__ import annotations

import logging
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.table import Column, Table

from pxdask.cluster import connect
from pxdask.core.config import SurveyConfig, data_root
from pxdask.core.errors import ClusterError, ConfigError, DataError, PxdaskError
from pxdask.core.morphology import MorphologyConfig
from pxdask.core.rows import column_units
from pxdask.io.catalog import read_catalog, rows
from pxdask.morphology.stage import absent_extra, fit_galaxies
from pxdask.morphology.stamps import make_stamps, segment_radius
from pxdask.survey.dask_executor import DaskExecutor
from pxdask.survey.executors import SerialExecutor
from pxdask.survey.inspect import GalaxyInputs, open_headers, resolved_bands, stamp_grid, star_list
from pxdask.survey.memory import profile_memory, within_memory
from pxdask.survey.pipeline import Pipeline
from pxdask.survey.products import store_filters
from pxdask.survey.profile_facts import PREFIX, known_kpc_per_arcsec, profile_facts
from pxdask.survey.threads import one_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import xarray as xr
    from distributed import Client

    from pxdask.morphology.stamps import Stamps

logger = logging.getLogger(__name__)

BATCH = 32
"""Galaxies in a call."""

CALLS_PER_THREAD = 2
"""Calls in flight for every thread of the cluster."""

MIN_SNR = 10.0
"""Least S/N of a band whose shape is taken as the galaxy's."""

GEOMETRY = ("r_eff", "axis_ratio", "angle")
"""What of the chosen band becomes columns without a band's name; of its disc, if there is one."""

Cell = dict[str, tuple[float | str, str, str]]
"""Value, unit and meaning of each column of a galaxy."""


@dataclass(frozen=True, slots=True)
class ProfileWork:
    """What every call needs to know.

    Attributes
    ----------
    config : SurveyConfig
        Settings, with ``morphology``.
    root : str
        What ``{data_root}`` stands for.
    band : str or None
        Band whose shape is the galaxy's.
    semi_major : float
        Half axis of the region over R_eff.
    """

    config: SurveyConfig
    root: str
    band: str | None
    semi_major: float

    @property
    def morphology(self) -> MorphologyConfig:
        """Settings of the profiles, which are fitted to bands on their own pixels."""
        settings = self.config.morphology or MorphologyConfig()
        return settings.model_copy(update={"data": "own"})


def fit_profiles(
    catalog: str | Path | Table,
    config: str | Path | SurveyConfig,
    client: Client | None = None,
    *,
    root: str | Path | None = None,
    workers: int | None = None,
    serial: bool = False,
    band: str | None = None,
    semi_major: float = 3.0,
    batch: int = BATCH,
    tick: Callable[[int], None] = lambda _: None,
) -> Table:
    """Return a catalogue with the Sersic profiles of its galaxies as further columns.

    A galaxy's size is first guessed by its segment in one band, so that nothing of
    ``images.region`` but the least area and the deblending of sources is used: the columns it names
    may be those that are made here.

    Parameters
    ----------
    catalog : path or Table
        Galaxies; those without a redshift, or all if there is no such column, have no sizes in kpc.
    config : path or SurveyConfig
        Settings of the survey; without ``morphology`` its defaults.
    client : distributed.Client, optional
        Cluster to work on; default: worker processes on this machine.
    root : path, optional
        What ``{data_root}`` stands for.
    workers : int, optional
        Worker processes of the local cluster.
    serial : bool
        Work in this process.
    band : str, optional
        Band whose shape is the galaxy's; default: of those whose flux has an S/N of 10 that in the
        middle of the wavelengths, else that of the greatest S/N.
    semi_major : float
        Half axis of the region over R_eff.
    batch : int
        Galaxies in a call.
    tick : callable
        Told the number of galaxies of each call that is done.

    Returns
    -------
    table : Table
        The catalogue and, for each band, what `profile_facts` tells, as ``sersic_NAME_BAND``. Of
        the chosen band, or its disc, where one is fitted, ``sersic_r_eff``, ``sersic_semi_major``
        [arcsec], ``sersic_axis_ratio``, ``sersic_angle`` [deg], which ``images.region`` can name.
        A point has none of these four. ``sersic_band``; ``sersic_error`` (why there is no
        profile). NaN where there is no profile.

    Raises
    ------
    ConfigError
        If settings or catalogue are wrong, or an extra is not installed.
    """
    settings = config if isinstance(config, SurveyConfig) else SurveyConfig.load(config)
    work = ProfileWork(settings, str(Path(data_root(root)).resolve()), band, semi_major)
    _require(work)
    table = read_catalog(catalog, units=column_units(settings), need_redshift=False)
    galaxies = list(rows(table))
    calls = [tuple(galaxies[i : i + batch]) for i in range(0, len(galaxies), batch)]
    found: dict[int, list[Cell]] = {}
    with ExitStack() as stack:
        if not serial:
            client = client or stack.enter_context(connect("local", workers=workers))
        executor = SerialExecutor() if serial or client is None else DaskExecutor(client)
        waiting = enumerate(calls)
        numbers: dict[int, int] = {}

        def submit() -> None:
            for number, some in waiting:
                name, need = f"batch-{number:06d}", profile_memory(work.morphology, len(some))
                handle = executor.submit(
                    fit_batch, some, work, name=("profiles", name), priority=-number, memory=need
                )
                numbers[id(handle)] = number
                return

        for _ in range(CALLS_PER_THREAD * executor.width):
            submit()
        for handle in executor.completed():
            number = numbers.pop(id(handle))
            some = calls[number]
            found[number] = handle.result or [_failed(handle.error) for _ in some]
            tick(len(some))
            submit()
    return _joined(table, [cell for number in sorted(found) for cell in found[number]])


def fit_batch(some: Sequence[Mapping[str, object]], work: ProfileWork) -> list[Cell]:
    """Return the columns of some galaxies; what is wrong with one is its error.

    Raises
    ------
    ClusterError
        If this worker never has the memory.
    """
    config, prepared = work.morphology, {}
    cells: dict[int, Cell] = {}
    with (
        tempfile.TemporaryDirectory(prefix="pxdask-") as folder,
        within_memory(profile_memory(config, len(some)), f"profiles of {len(some)} galaxies"),
        one_thread(),
    ):
        for i, galaxy in enumerate(some):
            try:
                prepared[i] = _stamps(galaxy, work, Path(folder))
            except ClusterError:
                raise
            except PxdaskError as error:
                cells[i] = _failed(str(error))
        ready = [(some[i], stamps) for i, stamps in prepared.items()]
        fitted = fit_galaxies(ready, config=config, seed=work.config.seed) if ready else []
    for i, profiles in zip(prepared, fitted, strict=True):
        cells[i] = (
            _failed(str(profiles))
            if isinstance(profiles, DataError)
            else _told(profiles, some[i], work)
        )
    return [cells[i] for i in range(len(some))]


def _require(work: ProfileWork) -> None:
    """Raise `ConfigError` if no galaxy can have a profile."""
    if fault := absent_extra(work.morphology):
        raise ConfigError(fault)
    names = [band.name for band in work.config.bands]
    fitted = list(work.morphology.bands or names)
    if work.band is not None and work.band not in fitted:
        raise ConfigError(f"the band {work.band!r} is not fitted; those that are: {fitted}")
    if not work.semi_major > 0:
        raise ConfigError(f"the region's half axis is {work.semi_major} R_eff; wanted above 0")


def _stamps(galaxy: Mapping[str, object], work: ProfileWork, folder: Path) -> Stamps:
    """Return what is fitted of a galaxy, as large as its segment tells."""
    config = work.config.model_copy(update={"morphology": work.morphology})
    bands = resolved_bands(galaxy, config, root=work.root)
    headers, faults = open_headers(galaxy, bands)
    if faults:
        raise DataError("; ".join(f"band {name}: {message}" for name, message in faults))
    grid = stamp_grid(galaxy, headers, config)
    stars = star_list(galaxy, config, root=work.root)
    products = store_filters(folder, [band.filter for band in bands])
    inputs = GalaxyInputs(galaxy, bands, headers, grid, stars=stars)
    pipeline = Pipeline(inputs, config, products)
    images = {name: pipeline.image_stage(name) for name in pipeline.profiled}
    raws = {name: pipeline.raw(name) for name in images}
    region = config.images.region
    radius: float | None = None
    order = sorted(images, key=lambda name: images[name].pivot_wave)
    middle = order.index(work.band) if work.band else len(order) // 2
    for name in sorted(order, key=lambda name: abs(order.index(name) - middle)):
        try:
            radius = segment_radius(images[name], galaxy, raws[name], region=region)
            break
        except DataError as error:
            logger.info("%s", error)
    if radius is None:
        raise DataError(f"galaxy {galaxy['id']!r}: none of the bands {order} shows it")
    return make_stamps(
        images, galaxy, raws, radius=radius, config=work.morphology, region=region, stars=stars
    )


def _told(profiles: xr.Dataset, galaxy: Mapping[str, object], work: ProfileWork) -> Cell:
    """Return the columns of a galaxy that has profiles."""
    redshift = float(str(galaxy.get("redshift", "nan")))
    kpc = known_kpc_per_arcsec(work.config.models, redshift=redshift)
    bands = [str(name) for name in profiles["band"].values]
    facts = profile_facts(profiles, bands=bands, kpc_per_arcsec=kpc)
    chosen = bands.index(work.band) if work.band else _reference(profiles)
    cell: Cell = {f"{PREFIX}band": (bands[chosen], "", "band whose shape is the galaxy's")}
    part = "disc_" if f"{PREFIX}disc_r_eff" in facts else ""
    for name in GEOMETRY if f"{PREFIX}r_eff" in facts else ():
        fact = facts[f"{PREFIX}{part}{name}"]
        about = str(fact.attrs["units"]), str(fact.attrs["long_name"])
        cell[f"{PREFIX}{name}"] = (float(fact.values[chosen]), *about)
    if f"{PREFIX}r_eff" in cell:
        meaning = f"half axis of the region: {work.semi_major:g} R_eff"
        semi_major = work.semi_major * float(cell[f"{PREFIX}r_eff"][0])
        cell[f"{PREFIX}semi_major"] = (semi_major, "arcsec", meaning)
    for name, fact in facts.items():
        about = str(fact.attrs["units"]), str(fact.attrs["long_name"])
        if fact.ndim:
            for band, value in zip(bands, fact.values, strict=True):
                cell[f"{name}_{band}"] = (float(value), *about)
        else:
            cell[name] = (float(fact.values), *about)
    return cell


def _reference(profiles: xr.Dataset) -> int:
    """Return the band whose shape is the galaxy's; see `fit_profiles`."""
    snr = np.nan_to_num(profiles["snr"].isel(source=0).values)
    clear = np.flatnonzero(snr >= MIN_SNR)
    if not clear.size:
        return int(np.argmax(snr))
    order = clear[np.argsort(profiles["pivot_wave"].values[clear], kind="stable")]
    return int(order[len(order) // 2])


def _failed(why: str) -> Cell:
    """Return the columns of a galaxy without profiles."""
    return {f"{PREFIX}error": (why, "", "why there is no profile")}


def _joined(table: Table, cells: Sequence[Cell]) -> Table:
    """Return the catalogue with the columns of all galaxies; those of an earlier time go."""
    joined = table.copy()
    for name in [name for name in joined.colnames if name.startswith(PREFIX)]:
        joined.remove_column(name)
    forms = {name: value for cell in cells for name, value in cell.items()}
    forms.setdefault(f"{PREFIX}error", _failed("")[f"{PREFIX}error"])
    for name, (example, unit, meaning) in forms.items():
        empty: Any = "" if isinstance(example, str) else float("nan")
        values = [cell[name][0] if name in cell else empty for cell in cells]
        if name == f"{PREFIX}flags":
            values = [0 if value != value else int(value) for value in values]  # noqa: PLR0124  NaN
        joined[name] = Column(values, unit=unit or None, description=meaning)
    return joined
