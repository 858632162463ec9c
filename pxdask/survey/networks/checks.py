"""What keeps a survey from being fitted by a network, found before it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.errors import PxdaskError
from pxdask.io.filters import load_filters
from pxdask.npe.agreement import unweighed_fault
from pxdask.survey.networks.given import (
    consequence,
    known_range,
    load_given,
    network_fault,
    source_of,
    unknown_redshifts,
)
from pxdask.survey.networks.trainings import network_redshifts, noise_of, require_jax
from pxdask.survey.networks.wanted import survey_wanted
from pxdask.survey.products import MODELS, ssp_dataset

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from astropy.table import Table

    from pxdask.core.config import SurveyConfig
    from pxdask.core.fits import FitConfig
    from pxdask.io.catalog_file import CatalogFile
    from pxdask.npe.network import Network


@dataclass(frozen=True)
class NetworkCheck:
    """What keeps a survey from being fitted by a network.

    Attributes
    ----------
    faults : tuple of (str, str)
        A galaxy, or "" for the whole run, and what is wrong.
    handed_over : tuple of str
        Galaxies that another method will fit, and why.
    """

    faults: tuple[tuple[str, str], ...] = ()
    handed_over: tuple[str, ...] = ()


def check_network(
    catalog: Table | CatalogFile,
    config: SurveyConfig,
    galaxies: Sequence[Mapping[str, object]],
    *,
    root: str,
    store: Path,
) -> NetworkCheck:
    """Return what keeps a survey, or some of its galaxies, from being fitted by a network.

    Parameters
    ----------
    catalog : Table or CatalogFile
        All galaxies.
    config : SurveyConfig
        Settings; nothing is found where the method is another.
    galaxies : sequence of mapping
        Galaxies to look at.
    root : str
        What ``{data_root}`` stands for.
    store : Path
        Folder of the run.
    """
    if config.fit.method != "npe":
        return NetworkCheck()
    try:
        wanted = survey_wanted(catalog, config, root=root)
        if fault := unweighed_fault(wanted.models, wanted.fit):
            return NetworkCheck((("", fault),))
        if wanted.npe.network is None:
            network_redshifts(wanted)
            noise_of(wanted)
            if not any((store / MODELS).glob("network-*")):
                require_jax()
            return NetworkCheck()
        network = load_given(str(source_of(store / MODELS, wanted.npe.network)))
        curves = load_filters([name for _, name in wanted.bands])
        ssp = ssp_dataset(config.models.ssp)
        fault = network_fault(network, wanted, ssp=ssp, curves=curves)
    except PxdaskError as error:
        return NetworkCheck((("", str(error)),))
    if fault:
        return NetworkCheck((("", f"fit.npe.network {wanted.npe.network}: {fault}"),))
    return _redshift_check(network, galaxies, config.fit)


def _redshift_check(
    network: Network, galaxies: Sequence[Mapping[str, object]], fit: FitConfig
) -> NetworkCheck:
    """Return what there is to say of galaxies whose redshifts a network does not know."""
    redshift = np.array([float(str(galaxy["redshift"])) for galaxy in galaxies])
    unknown = np.flatnonzero(unknown_redshifts(network, redshift)).tolist()
    told = tuple(
        (
            str(galaxies[row]["id"]),
            f"redshift {redshift[row]:g}: {known_range(network)}: {consequence(fit)}",
        )
        for row in unknown
    )
    if fit.npe.hand_over == "none":
        return NetworkCheck(told)
    return NetworkCheck(handed_over=tuple(f"galaxy {name}, {words}" for name, words in told))
