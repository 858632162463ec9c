"""Trained networks as products of a run: given and checked, or trained once before it starts.

A network is trained by the process that drives a run, not by a worker. Its checksum is part of
the key of every fit, so it has to be there before the first galaxy is planned; workers come and
go, have one thread, as much memory as a task needs, and no JAX; and what the driver keeps after
each pass is where it finds it again when it was killed. Where the driver's machine is no place to
train, `pxdask npe train` is a job of its own, whose file ``fit.npe.network`` names.
"""

from __future__ import annotations

import logging
import shutil
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pxdask.core.config import cache_folder
from pxdask.core.errors import ConfigError, PxdaskError, StoreError
from pxdask.core.files import write_with
from pxdask.core.provenance import content_key
from pxdask.core.remote import far, location
from pxdask.core.schema import NETWORK
from pxdask.io.stores import checksum, is_published, publish, read
from pxdask.npe.agreement import unweighed_fault
from pxdask.npe.network import Network
from pxdask.sps.libraries import make_library
from pxdask.survey.networks.trainings import NAMED_LENGTH, training_of
from pxdask.survey.networks.wanted import catalog_wanted, survey_wanted
from pxdask.survey.products import MODELS, load_curves, load_ssp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import xarray as xr

    from pxdask.core.bandpass import Filter
    from pxdask.core.catalogs import CatalogConfig
    from pxdask.core.config import SurveyConfig
    from pxdask.core.fits import FitConfig
    from pxdask.io.catalog_file import CatalogFile
    from pxdask.npe.training import Progress as Passes
    from pxdask.survey.networks.trainings import Training
    from pxdask.survey.networks.wanted import Wanted
    from pxdask.survey.products import Products

    Report = Callable[[Passes], None]

logger = logging.getLogger(__name__)

_MOST_NAMED = 5
_CLOSE = 1e-6
"""Relative difference of redshifts that are the same."""


def load_given(path: str) -> Network:
    """Return the network in a file.

    Raises
    ------
    ConfigError
        If there is no such file, or it holds something else.
    """
    try:
        return Network.from_dataset(given_network(path))
    except KeyError as error:
        raise ConfigError(f"{path} is no trained network: it has no {error}") from error


def given_network(path: str) -> xr.Dataset:
    """Return what is in the file of a network, schema network/1; see `load_given`."""
    there = location(path)
    if not is_published(there):
        raise ConfigError(f"{path} is no trained network; `pxdask npe train` makes one")
    try:
        return NETWORK.validate(read(there))
    except PxdaskError as error:
        if isinstance(error, StoreError):
            raise
        raise ConfigError(f"{path} is no trained network: {error}") from error


def network_fault(
    network: Network, wanted: Wanted, *, ssp: xr.Dataset, curves: Iterable[Filter]
) -> str:
    """Return in what a network and the data and models differ, redshifts apart; "" for nothing."""
    ends = network.redshift
    # a redshift that the network knows: those of the data are looked at one by one
    redshift = None if wanted.free_redshift else 1.0 if ends is None else ends[0]
    filters = tuple(
        replace(curve, name=name) for (name, _), curve in zip(wanted.bands, curves, strict=True)
    )
    library = make_library(
        ssp, filters, settings=wanted.models, redshift=redshift, seed=wanted.seed
    )
    try:
        network.check(library, wanted.fit)
    except ConfigError as error:
        return str(error)
    return ""


def with_network(
    products: Products, root: Path, wanted: Wanted, *, shown: bool = False
) -> Products:
    """Return the products of a run with its network, given or trained, in the run's folder.

    Parameters
    ----------
    products : Products
        The others.
    root : Path
        Folder of the run.
    wanted : Wanted
        What the network is to know.
    shown : bool
        Show the progress of a training.

    Raises
    ------
    ConfigError
        If the network given differs from what is wanted, or none can be trained.
    """
    if fault := unweighed_fault(wanted.models, wanted.fit):
        raise ConfigError(fault)
    ssp, known = load_ssp(products.ssp), load_curves(products.filters)
    curves = tuple(known[name] for _, name in wanted.bands)
    if wanted.npe.network is None:
        path = _trained(root / MODELS, training_of(wanted, ssp=ssp, curves=curves), shown=shown)
    else:
        path = _given(root / MODELS, wanted.npe.network)
        if fault := network_fault(load_given(str(path)), wanted, ssp=ssp, curves=curves):
            raise ConfigError(f"fit.npe.network {wanted.npe.network}: {fault}")
    return replace(products, network=path, network_key=checksum(path))


@contextmanager
def shown_training(*, shown: bool = True) -> Iterator[Report]:
    """Give what draws a bar of the passes of a training; where there is no screen, writes lines."""
    console = Console(stderr=True, quiet=not shown)
    bar = Progress(
        TextColumn("training {task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("passes, loss of mocks held out {task.fields[loss]}"),
        TimeRemainingColumn(),
        console=console,
        disable=not (shown and console.is_terminal),
    )

    def tell(done: Passes) -> None:
        name = f"network {done.member + 1} of {done.n_member}"
        loss = f"{done.held_loss:.3f}"
        bar.update(row, completed=done.done, total=done.n_passes, description=name, loss=loss)
        if not console.is_terminal:
            console.print(
                f"training {name}: pass {done.done} of {done.n_passes},"
                f" loss of mocks held out {loss}",
                highlight=False,
                soft_wrap=True,
            )

    with bar:
        row = bar.add_task("network", total=None, loss="-")
        yield tell


def _trained(folder: Path, training: Training, *, shown: bool) -> Path:
    """Return the file of a network in a run's folder, trained now if it is not there."""
    key = f"{training.key}-{training.limits_key}"
    of_weights = [
        path
        for path in sorted(folder.glob(f"network-{training.key}-*.zarr.zip"))
        if is_published(path)
    ]
    if own := [path for path in of_weights if path.name.startswith(f"network-{key}-")]:
        return own[0]
    known = load_given(str(of_weights[0])) if of_weights else None
    # what is kept between passes is of this machine where the run is not
    here = cache_folder() / "training" if far(folder) is not None else folder
    checkpoint = here / f"training-{training.key}"
    with shown_training(shown=shown) as report:
        network = training.network(known=known, report=report, checkpoint=checkpoint)
    path = _put(network.to_dataset(), folder, key)
    for kept in here.glob(f"{checkpoint.name}-*.npz"):
        kept.unlink(missing_ok=True)
    return path


def _given(folder: Path, path: str) -> Path:
    """Return a run's copy of a network given."""
    there = source_of(folder, path)
    if not is_published(there):
        raise ConfigError(f"fit.npe.network: {path} is no trained network")
    copy = folder / _file_name(_given_key(path), checksum(there))
    if not is_published(copy):
        write_with(partial(_copy_file, there), copy)
    return copy


def source_of(folder: Path, path: str) -> Path:
    """Return the file of a network given, or, where it is not there any more, the run's copy."""
    there = location(path)
    if is_published(there) or (copy := _copy(folder, path)) is None:
        return there
    return copy


def _copy(folder: Path, path: str) -> Path | None:
    """Return the newest copy of a network given; None if there is none."""
    found = [p for p in folder.glob(f"network-{_given_key(path)}-*.zarr.zip") if is_published(p)]
    return max(found, key=lambda copy: copy.stat().st_mtime, default=None)


def _given_key(path: str) -> str:
    """Return what tells the copies of one network given from others."""
    return f"given-{content_key(path)[:NAMED_LENGTH]}"


def _copy_file(source: Path, target: Path) -> None:
    """Copy a file, of this machine or of an object store."""
    with source.open("rb") as file, target.open("wb") as copy:
        shutil.copyfileobj(file, copy)


def _file_name(key: str, digest: str) -> str:
    """Return the name of a network's file, which ends in the checksum of its bytes."""
    return f"network-{key}-{digest[:NAMED_LENGTH]}.zarr.zip"


def _put(ds: xr.Dataset, folder: Path, key: str) -> Path:
    """Publish a network under a name that holds its key and checksum."""
    with TemporaryDirectory(prefix="pxdask-") as scratch:
        fresh = Path(scratch) / "network.zarr.zip"
        path = folder / _file_name(key, publish(ds, fresh))
        write_with(partial(_copy_file, fresh), path)
    return path


def unknown_redshifts(network: Network, redshift: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return which redshifts (n,) are positive numbers that a network does not know."""
    if network.redshift is None:
        return np.zeros(np.shape(redshift), np.bool_)
    low, high = network.redshift
    with np.errstate(invalid="ignore"):
        outside = (redshift < low * (1 - _CLOSE)) | (redshift > high * (1 + _CLOSE))
    return np.asarray(outside & np.isfinite(redshift) & (redshift > 0))


def survey_network(
    products: Products,
    catalog: CatalogFile,
    config: SurveyConfig,
    *,
    base: str,
    shown: bool,
) -> Products:
    """Return the products of a survey with its network, if its method has one.

    Parameters
    ----------
    products : Products
        The others.
    catalog : CatalogFile
        All galaxies of the run, in its folder.
    config : SurveyConfig
        Settings.
    base : str
        What ``{data_root}`` stands for.
    shown : bool
        Show the progress of a training.

    Raises
    ------
    ConfigError
        As `with_network`, or if galaxies have different filters.
    """
    if config.fit.method != "npe":
        return products
    wanted = survey_wanted(catalog, config, root=base)
    return with_network(products, catalog.path.parent, wanted, shown=shown)


def catalog_network(
    products: Products, root: Path, config: CatalogConfig, seds: xr.Dataset, *, shown: bool
) -> Products:
    """Return the products of a catalogue's fit with its network, if its method has one.

    Parameters
    ----------
    products : Products
        The others.
    root : Path
        Folder of the run.
    config : CatalogConfig
        Settings.
    seds : Dataset
        Schema seds/1: all SEDs.
    shown : bool
        Show the progress of a training.

    Raises
    ------
    ConfigError
        As `with_network`.
    """
    if config.fit.method != "npe":
        return products
    redshift = seds["redshift"].values
    wanted = catalog_wanted(config, redshift)
    found = with_network(products, root, wanted, shown=shown)
    network = Network.from_dataset(read(_needed(found.network)))
    unknown = np.flatnonzero(unknown_redshifts(network, redshift))
    if unknown.size:
        names = ", ".join(str(seds["id"].values[row]) for row in unknown[:_MOST_NAMED])
        logger.warning(
            "%d of %d SEDs, such as %s, have redshifts from %g to %g; %s: %s",
            *(unknown.size, redshift.size, names),
            *(redshift[unknown].min(), redshift[unknown].max()),
            *(known_range(network), consequence(config.fit)),
        )
    return found


def consequence(fit: FitConfig) -> str:
    """Return what becomes of SEDs whose redshifts a network does not know."""
    if fit.npe.hand_over == "none":
        return "not fitted, as fit.npe.hand_over is none"
    return f"fitted by {fit.npe.hand_over} instead"


def _needed(path: Path | None) -> Path:
    """Return the file of a network that a run has."""
    if path is None:
        raise ConfigError("the run has no network, which fit.method npe needs")
    return path


def known_range(network: Network) -> str:
    """Return the redshifts that a network knows, in words."""
    low, high = network.redshift or (0.0, np.inf)
    return f"the network knows {low:g} to {high:g}"
