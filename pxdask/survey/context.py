"""What every task of a run needs to know, found again from the run's folder alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pxdask.core.config import SurveyConfig
from pxdask.core.errors import ConfigError
from pxdask.core.files import write_text
from pxdask.core.remote import local_copy
from pxdask.survey.products import Products
from pxdask.survey.work import RunContext

if TYPE_CHECKING:
    from pxdask.survey.results import Run

HISTORY = "history"
"""Folder of a run: settings that it had, and the products made for each, by the settings' key."""

MODELS = "models"


def save_products(folder: Path, config: SurveyConfig, products: Products) -> None:
    """Note the files that all tasks of a run with these settings share."""
    facts = {
        "ssp": products.ssp.name,
        "filters": products.filters.name,
        "stored": None if products.stored is None else str(products.stored),
        "stored_key": products.stored_key,
        "network": None if products.network is None else products.network.name,
        "network_key": products.network_key,
    }
    text = json.dumps(facts, indent=2) + "\n"
    path = _products_path(folder, config)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_text(text, path)


def open_context(run: Run, config: SurveyConfig | None = None) -> RunContext:
    """Return what the tasks of a run need to know; nothing is written.

    Parameters
    ----------
    run : Run
        The run.
    config : SurveyConfig, optional
        Settings that it has or had; default: those it has.

    Raises
    ------
    ConfigError
        If the run has not been carried out with the settings.
    """
    settings = run.config if config is None else config
    path = _products_path(run.store, settings)
    if not path.is_file():
        raise ConfigError(
            f"{run.store} has not been carried out with its settings: there is no {path.name} in"
            f" its {HISTORY}; go on with it first: pxdask resume"
        )
    facts = json.loads(path.read_text(encoding="utf-8"))
    products = Products(
        ssp=run.store / MODELS / facts["ssp"],
        filters=run.store / MODELS / facts["filters"],
        stored=None if facts["stored"] is None else Path(facts["stored"]),
        stored_key=facts["stored_key"],
        network=None if facts.get("network") is None else run.store / MODELS / facts["network"],
        network_key=facts.get("network_key", ""),
    )
    return RunContext(run.store, settings, products, run.data_root)


def saved_network(run: Run, products: Products) -> Products:
    """Return products with the network that a run's fits with its settings are made by."""
    path = _products_path(run.store, run.config)
    if run.config.fit.method != "npe" or not path.is_file():
        return products
    with_it = open_context(run).products
    return replace(products, network=with_it.network, network_key=with_it.network_key)


def config_of(run: Run, key: str) -> SurveyConfig:
    """Return the settings that a run has, or had, by their key.

    Raises
    ------
    ConfigError
        If it never had such settings.
    """
    if key in ("", run.config.key()):
        return run.config
    path = run.store / HISTORY / f"{key}.yaml"
    if not path.is_file():
        raise ConfigError(f"{run.store} has no settings {key} in its {HISTORY}")
    with local_copy(path) as file:
        return SurveyConfig.load(file)


def _products_path(folder: Path, config: SurveyConfig) -> Path:
    return folder / HISTORY / f"{config.key()}.json"
