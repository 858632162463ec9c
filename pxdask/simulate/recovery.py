"""The fitting test of Abdurro'uf et al. (2021): what eight approaches find of known galaxies."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from scipy.stats import spearmanr

from pxdask.core.cosmology import age_of_universe
from pxdask.core.errors import DataError
from pxdask.core.fits import FitConfig, McmcConfig, SpectrumConfig
from pxdask.core.models import ModelConfig, UniformPrior
from pxdask.core.random import stream
from pxdask.core.schema import QUANTILES
from pxdask.simulate.mock_seds import LOOKBACKS, METAL_SPREAD, manga_like, mock_seds
from pxdask.simulate.stochastic import BURSTS, draw_assembly

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr
    from numpy.typing import NDArray

    from pxdask.core.bandpass import Filter
    from pxdask.simulate.mock_seds import MockSeds

    Floats = NDArray[np.float64]

REDSHIFT = 0.001
"""Of the mock galaxies; section 5.1."""

SNR = 10.0
"""In every band and wavelength; section 5.1."""

MAX_DEPTH = 2.5
"""Greatest optical depth of the mocks' dust, drawn evenly from 0; section 5.1."""

FILTERS = (
    "galex_fuv", "galex_nuv", "sdss_u", "sdss_g", "sdss_r", "sdss_i", "sdss_z",
    "2mass_j", "2mass_h", "2mass_k", "wise_w1", "wise_w2",
)  # fmt: skip
"""The bands, by the names of the published code; section 5.1."""

QUANTITIES = ("logzsol", "dust2", "log_mw_age", "log_mass", "log_sfr_50myr")
"""What appendix B compares: metallicity, dust, age, mass, star formation of the last 50 Myr."""

MASSES: Mapping[tuple[float, float], int] = MappingProxyType(
    {(9.0, 9.5): 100, (9.5, 10.0): 80, (10.0, 10.5): 60, (10.5, 11.0): 40, (11.0, 11.5): 20}
)
"""Galaxies by interval of log mass; section 5.1, where the last are said to be above 11.5."""

_DOF = (0.3, 1.0, 2.0, 3.0, 5.0, 10.0)
_LINEAR = ("dust2", *(f"lookback_{percent}" for percent in LOOKBACKS))
"""Quantities that are not logarithms."""

_LEAST = 1e-3
"""Least optical depth, and lookback time [Gyr], of which a logarithm is taken."""


class Approach(NamedTuple):
    """How SEDs are fitted, and what of the posterior is the answer.

    Attributes
    ----------
    fit : FitConfig
        Method and likelihood; no systematic error is added, as none is in the mocks.
    estimate : {"mean", "median"}
        As published: of RDSPS the mean (section 4.2.2), of MCMC the median (4.2.1).
    """

    fit: FitConfig
    estimate: Literal["mean", "median"]


class Recovery(NamedTuple):
    """How well one quantity is found.

    Attributes
    ----------
    offset, scatter : float
        Mean and standard deviation of log10 of found over true [dex].
    rank : float
        Spearman's rank correlation of found and true.
    """

    offset: float
    scatter: float
    rank: float


def paper_models(*, n_models: int = 262144) -> ModelConfig:
    """Return the models of section 5.2: double power laws, six free parameters and mass.

    Parameters
    ----------
    n_models : int
        Models drawn from the priors.

    Notes
    -----
    The published prior of log(tau / Gyr) starts at -3, ours at the registry's limit of -1.5:
    models that are 8 Gyr old do not tell 1 from 30 Myr.
    """
    ranges = {
        "logzsol": (-0.5, 0.39),
        "log_tau": (-1.5, 0.6),
        "log_age": (0.9, 1.14),
        "dust2": (0.0, 3.0),
        "log_alpha": (-2.0, 1.0),
        "log_beta": (-2.0, 1.0),
    }
    return ModelConfig(
        sfh="double_power_law",
        dust="calzetti",
        igm="none",
        priors={name: UniformPrior(low=low, high=high) for name, (low, high) in ranges.items()},
        derived=("log_mw_age", "log_sfr_50myr", *(f"lookback_{p}" for p in LOOKBACKS)),
        n_models=n_models,
    )


def paper_approaches() -> dict[str, Approach]:
    """Return the eight approaches of section 5.2, by the names of appendix B.

    Where there are spectra, their continua (lines masked by 10 Angstrom) and the photometry
    share one amplitude, as in section 4.1: the mocks' fluxes are all of one calibration.
    """
    spectrum = SpectrumConfig(polynomial_order=None)
    found = {
        "gauss": Approach(FitConfig(systematic_error=0.0, spectrum=spectrum), "mean"),
    }
    for dof in _DOF:
        student = FitConfig(
            likelihood="student_t", dof=dof, systematic_error=0.0, spectrum=spectrum
        )
        found[f"stdt_dof{dof:g}".replace(".", "")] = Approach(student, "mean")
    mcmc = FitConfig(
        method="mcmc",
        systematic_error=0.0,
        spectrum=spectrum,
        mcmc=McmcConfig(n_walkers=100, max_steps=1000),
    )
    return {**found, "mcmc": Approach(mcmc, "median")}


def paper_mocks(
    ssp: xr.Dataset,
    filters: Sequence[Filter],
    *,
    n_galaxy: int = 300,
    seed: int,
    spectra: bool = False,
    bursts: tuple[float, float] = BURSTS,
    enrichment: bool = True,
) -> MockSeds:
    """Return noiseless mock galaxies like those of section 5.1.

    Parameters
    ----------
    ssp : Dataset
        Schema ``ssp/2``.
    filters : sequence of Filter
        Bands.
    n_galaxy : int
        Galaxies, of masses shared out as in `MASSES`.
    seed : int
        Of the galaxies.
    spectra : bool
        Whether to make MaNGA-like spectra, too.
    bursts : (float, float)
        As of `draw_assembly`.
    enrichment : bool
        Whether metallicities differ in a galaxy; if not, all its stars have their mean.

    Returns
    -------
    mocks : MockSeds
        The published ones are galaxies of TNG100; these have the histories of
        `pxdask.simulate.stochastic`.
    """
    settings = paper_models()
    rng = stream(seed, "mock galaxies")
    counts = np.array(list(MASSES.values()))
    # every so many ranks of the full sample, so that few galaxies are a sample of it
    place = (np.arange(n_galaxy) + 0.5) / n_galaxy * counts.sum()
    group = np.searchsorted(np.cumsum(counts), place, side="right")
    low = np.array([interval[0] for interval in MASSES])[group]
    log_mass = low + 0.5 * rng.random(n_galaxy)
    dust = {"dust2": rng.uniform(0.0, MAX_DEPTH, n_galaxy)}
    universe = age_of_universe(settings, redshift=REDSHIFT)
    assembly = draw_assembly(log_mass, universe=universe, rng=rng, bursts=bursts)
    if not enrichment:
        mean = np.log10(np.sum(assembly.formed * 10**assembly.logzsol, axis=1, keepdims=True))
        assembly = replace(assembly, logzsol=np.broadcast_to(mean, assembly.logzsol.shape))
    return mock_seds(
        assembly,
        ssp,
        filters,
        log_mass=log_mass,
        dust=dust,
        redshift=REDSHIFT,
        settings=settings,
        spectrograph=manga_like() if spectra else None,
        metal_spread=METAL_SPREAD if enrichment else 0.0,
    )


def estimates(
    fit: xr.Dataset, *, names: Sequence[str] = QUANTITIES, estimate: Literal["mean", "median"]
) -> dict[str, Floats]:
    """Return one value of each quantity of each galaxy.

    Parameters
    ----------
    fit : Dataset
        Schema fit/2.
    names : sequence of str
        Results wanted.
    estimate : {"mean", "median"}
        Of the posterior.

    Returns
    -------
    values : dict of (n_galaxy,) float64
        NaN where an SED was not fitted.
    """
    if estimate == "mean":
        return {name: fit[f"{name}_mean"].values for name in names}
    middle = QUANTILES.index(0.5)
    return {name: fit[name].values[:, middle] for name in names}


def recovery(name: str, *, true: Floats, found: Floats) -> Recovery:
    """Return how well a quantity is found.

    Parameters
    ----------
    name : str
        Which: logarithms are compared as they are, ``dust2`` and lookback times by theirs.
    true, found : (n_galaxy,) float64
        NaN where not found: such galaxies do not count.

    Raises
    ------
    DataError
        If fewer than three galaxies were fitted.

    Notes
    -----
    Abdurro'uf et al. (2021), section 5.3 and appendix B: "logarithmic ratios".
    """
    fitted = np.isfinite(true) & np.isfinite(found)
    if np.count_nonzero(fitted) < 3:
        raise DataError(f"{name}: {np.count_nonzero(fitted)} galaxies fitted; wanted three or more")
    true, found = true[fitted], found[fitted]
    if name in _LINEAR:
        true, found = (np.log10(np.maximum(value, _LEAST)) for value in (true, found))
    ratio = found - true
    rank = float(spearmanr(true, found).statistic)
    return Recovery(float(np.mean(ratio)), float(np.std(ratio)), rank)
