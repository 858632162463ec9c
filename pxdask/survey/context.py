"""What every task of a run needs to know, found again from the run's folder alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pxdask.core.config import SurveyConfig
from pxdask.core.errors import ConfigError, DamagedError
from pxdask.core.files import write_text
from pxdask.core.remote import local_copy
from pxdask.survey.products import MODELS, Products, store_products, used_filters
from pxdask.survey.work import RunContext

if TYPE_CHECKING:
    from pxdask.survey.results import Run

HISTORY = "history"
"""Folder of a run: settings that it had, and the products made for each, by the settings' key."""


def save_products(folder: Path, config: SurveyConfig, products: Products) -> None:
    """Note a run's settings, and the files that all its tasks with these settings share.

    The settings are kept by the key that they have today: another version of the program may have
    settings more, whose defaults give the same file another key.
    """
    facts = {
        "ssp": products.ssp.name,
        "filters": products.filters.name,
        "stored": None if products.stored is None else str(products.stored),
        "stored_key": products.stored_key,
        "network": None if products.network is None else products.network.name,
        "network_key": products.network_key,
    }
    text = json.dumps(facts, indent=2) + "\n"
    path = _products_path(folder, config.key())
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_text(text, path)
    save_settings(folder, config)


def save_settings(folder: Path, config: SurveyConfig) -> None:
    """Keep settings in a run's history, by their key, if they are not there."""
    path = _settings_path(folder, config.key())
    if not path.is_file():
        write_text(config.dump(), path)


def products_path(run: Run) -> Path | None:
    """Return the file that names what all tasks with a run's settings share; None without one.

    Where this version of the program has not carried out the run, it is the file of the one
    version that did, which gave the same settings another key.
    """
    path = _products_path(run.store, run.config.key())
    if path.is_file():
        return path
    found = [_products_path(run.store, key) for key in _earlier_keys(run)]
    there = [path for path in found if path.is_file()]
    return there[0] if len(there) == 1 else None


def shared_files(run: Run) -> tuple[Path, ...]:
    """Return the files of a run that all tasks with its settings read; none before it started.

    Raises
    ------
    DamagedError
        If the file that names them cannot be understood.
    """
    path = products_path(run)
    if path is None:
        return ()
    products = _products(run, path)
    network = () if products.network is None else (products.network,)
    return products.ssp, products.filters, *network


def open_context(run: Run, config: SurveyConfig | None = None, *, key: str = "") -> RunContext:
    """Return what the tasks of a run need to know; nothing is written.

    Parameters
    ----------
    run : Run
        The run.
    config : SurveyConfig, optional
        Settings that it has or had; default: those it has.
    key : str
        The key that they had when the run was carried out with them; default: that of today.

    Raises
    ------
    ConfigError
        If the run has not been carried out with the settings.
    DamagedError
        If the file that names what tasks share cannot be understood.
    """
    settings = run.config if config is None else config
    path = _products_path(run.store, key or settings.key())
    if not path.is_file():
        raise ConfigError(
            f"{run.store} has not been carried out with its settings: there is no {path.name} in"
            f" its {HISTORY}; go on with it first: pxdask resume"
        )
    return RunContext(run.store, settings, _products(run, path), run.data_root)


def _products(run: Run, path: Path) -> Products:
    """Return what a file of the history names."""
    models = run.store / MODELS
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        return Products(
            ssp=models / facts["ssp"],
            filters=models / facts["filters"],
            stored=None if facts["stored"] is None else Path(facts["stored"]),
            stored_key=facts["stored_key"],
            network=None if facts.get("network") is None else models / facts["network"],
            network_key=facts.get("network_key", ""),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedError(
            f"{path} is damaged ({error}); `pxdask resume {run.store}` writes it anew"
        ) from error


def saved_network(run: Run, products: Products) -> Products:
    """Return products with the network that a run's fits with its settings are made by."""
    path = products_path(run)
    if run.config.fit.method != "npe" or path is None:
        return products
    with_it = _products(run, path)
    return replace(products, network=with_it.network, network_key=with_it.network_key)


def products_known(run: Run, folder: Path) -> Products:
    """Return what the tasks of a run share with its settings: what is there, else as of today.

    Parameters
    ----------
    run : Run
        The run; nothing in it is changed.
    folder : Path
        For `products_today`, where only another version of the program has carried out the run.

    Raises
    ------
    ConfigError
        If the run has not been carried out with its settings, by any version.
    """
    there = _products_path(run.store, run.config.key()).is_file()
    if there or not _earlier_keys(run):
        return open_context(run).products
    return products_today(run, folder)


def has_settings(run: Run, key: str) -> bool:
    """Return whether a key is that of a run's settings, by any version of the program."""
    return key == run.config.key() or key in _earlier_keys(run)


def products_today(run: Run, folder: Path) -> Products:
    """Return what this version of the program would have the tasks of a run share.

    Parameters
    ----------
    run : Run
        The run; nothing in it is changed.
    folder : Path
        Where to make the files that decide by what they hold.

    Raises
    ------
    ConfigError
        If the settings' models or filters cannot be loaded.
    """
    filters = used_filters(run.catalog_file, run.config, root=run.data_root)
    return saved_network(run, store_products(folder, run.config.models, filters))


def config_of(run: Run, key: str) -> SurveyConfig:
    """Return the settings that a run has, or had, by their key.

    Settings that no file of the history has are the run's own, if it has never had others:
    earlier versions of the program kept settings only when they were changed.

    Raises
    ------
    ConfigError
        If it never had such settings, or they were not kept.
    """
    if key in ("", run.config.key()):
        return run.config
    path = _settings_path(run.store, key)
    if path.is_file():
        with local_copy(path) as file:
            return SurveyConfig.load(file)
    if not _products_path(run.store, key).is_file():
        raise ConfigError(f"{run.store} has no settings {key} in its {HISTORY}")
    if key in _earlier_keys(run):
        return run.config
    raise ConfigError(
        f"{run.store} had settings {key}, but they were not kept: there is {key}.json in its"
        f" {HISTORY}, and no {path.name}. Earlier versions of pxdask (the run was begun by"
        f" {run.versions.get('pxdask', 'an unknown one')}) kept settings only when they were"
        " changed, and gave them another key than this one does"
    )


def _earlier_keys(run: Run) -> list[str]:
    """Return the keys that other versions of the program gave to the settings that a run has.

    Settings without a file are the run's own as far as it has never had others.
    """
    kept: dict[str, str] = {}
    for path in (run.store / HISTORY).glob("*.yaml"):
        try:
            with local_copy(path) as file:
                kept[path.stem] = SurveyConfig.load(file).key()
        except ConfigError:
            kept[path.stem] = ""  # settings that this version does not understand
    own = run.config.key()
    same = [key for key, now in kept.items() if now == own]
    bare = {path.stem for path in (run.store / HISTORY).glob("*.json")} - kept.keys()
    return sorted({*same, *(bare if len(same) == len(kept) else ())} - {own})


def _settings_path(folder: Path, key: str) -> Path:
    return folder / HISTORY / f"{key}.yaml"


def _products_path(folder: Path, key: str) -> Path:
    return folder / HISTORY / f"{key}.json"
