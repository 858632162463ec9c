"""Fit one SED, or a table of them."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.errors import DataError
from pxdask.core.fits import FitConfig
from pxdask.core.flags import Flag
from pxdask.core.models import ModelConfig
from pxdask.fitting.seds import Seds
from pxdask.fitting.stage import fitter_of
from pxdask.fitting.tables import gather
from pxdask.sps.model_set import check_models
from pxdask.survey.manifest import Record
from pxdask.survey.networks.given import given_network
from pxdask.survey.posterior import ModelSource, Posterior
from pxdask.survey.products import ssp_dataset
from pxdask.survey.seds.inputs import SPECTRAL, observed_seds
from pxdask.survey.stored_models import check_library
from pxdask.survey.threads import one_thread
from pxdask.survey.watch.progress import ProgressBars

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import xarray as xr
    from numpy.typing import NDArray

    from pxdask.core.bandpass import Filter
    from pxdask.core.catalogs import TableBand
    from pxdask.sps.libraries import ModelLibrary

logger = logging.getLogger(__name__)

N_SAMPLES = 500
"""Posterior samples kept of each SED where the settings of the fit are not given."""

FEW_SEDS = 1000
"""Most SEDs of which samples are kept by default: 500 of ten results are 20 MB for a thousand."""

MANY_REDSHIFTS = 20
"""Different redshifts above which models are interpolated between redshifts that SEDs share."""

SHARED_STEP = 0.005
"""Their spacing in ln(1 + z): 0.16 per cent rms in flux; see `pxdask.sps.at_redshift`."""

_MAX_NAMED = 5


@dataclass(eq=False)
class FitRows:
    """Fits of some rows of a table of SEDs.

    Attributes
    ----------
    parts : dict
        Fits, schema fit/2, by the rows that were fitted together.
    reasons : dict
        Why a row could not be fitted.
    """

    parts: dict[tuple[int, ...], xr.Dataset] = field(default_factory=dict)
    reasons: dict[int, str] = field(default_factory=dict)

    def joined(self, n_sed: int) -> xr.Dataset:
        """Return the fit of all rows; those that could not be fitted are NaN and NOT_FITTED.

        Raises
        ------
        DataError
            If no row could be fitted, saying why.
        """
        if not self.parts:
            reason = next(iter(self.reasons.values()), "there is none")
            raise DataError(f"none of {n_sed} SEDs can be fitted: {reason}")
        return gather(self.parts, n_sed=n_sed)


def fit(
    seds: object,
    *,
    filters: Mapping[str, str | Filter] | Sequence[str | Filter | TableBand] | None = None,
    redshift: float | str | Sequence[float] | None = None,
    models: ModelConfig | None = None,
    settings: FitConfig | None = None,
    unit: str = "uJy",
    seed: int = 1,
    progress: bool | None = None,
) -> Posterior:
    """Return the posteriors of one SED or of a table of SEDs.

    Parameters
    ----------
    seds : mapping, (flux, err), table, path or Seds
        One SED: ``{band: (flux, err)}``, or two arrays (n_band,). Many: two arrays
        (n_sed, n_band), a table (astropy, pandas, or a mapping of columns), or the path of one
        (ECSV, CSV, FITS, Parquet), with the columns ``flux_<band>``, ``err_<band>`` and, where
        there are upper limits, ``limit_<band>``. Numbers with a unit of their own keep it.
        Masked values, NaN and -99 are no measurements; negative fluxes are. `Seds` may have
        spectra.
    filters : optional
        The filter of each band, `TableBand` for other columns, or a list, whose names are
        those of the bands. Default: bands are called as their filters.
    redshift : float, str, sequence of float, optional
        Of all SEDs; or a column; or of each. Default: the column ``redshift``. Not given where
        ``models.priors`` has a redshift, which is then fitted.
    models : ModelConfig, optional
        Ingredients and priors. With more than 20 different redshifts and no
        ``redshift_step``, models are interpolated between redshifts 0.005 apart in ln(1 + z).
    settings : FitConfig, optional
        Method and likelihood. Default: RDSPS, keeping 500 posterior samples of each of up to
        1,000 SEDs.
    unit : str
        Of numbers without one: flux density per frequency or wavelength, or "AB mag".
    seed : int
        Of every random stream.
    progress : bool, optional
        Show progress; default: where there are many SEDs.

    Returns
    -------
    posterior : Posterior
        An SED that cannot be fitted is NaN there, and flagged.

    Raises
    ------
    ConfigError
        If a setting, a unit, a column, a filter or a prior is wrong.
    DataError
        If no SED can be fitted.
    """
    chosen = models or ModelConfig()
    free = "redshift" in chosen.priors
    curves, observed = observed_seds(seds, filters=filters, redshift=redshift, free=free, unit=unit)
    n_sed = observed.sizes["bin"]
    chosen = with_shared_redshifts(chosen, observed["redshift"].values)
    how = settings or FitConfig(n_samples=N_SAMPLES if n_sed <= FEW_SEDS else 0)
    source = ModelSource(chosen, curves, seed, ssp_dataset(chosen.ssp))
    if how.method == "npe" and how.npe.network is not None:
        source.network = given_network(how.npe.network)
    check_models(source.populations(), chosen)
    if chosen.stored is not None:
        check_library(Path(chosen.stored), chosen, source.populations(), tuple(curves.values()))
    with ExitStack() as stack:
        report = _reporter(stack, n_sed, shown=progress)
        stack.enter_context(one_thread())
        found = fit_rows(observed, source, settings=how, free_redshift=free, report=report)
    fitted = found.joined(n_sed)
    warn(observed, fitted, found.reasons)
    return Posterior(fit=fitted, seds=observed, model_library=source, seed=seed, free_redshift=free)


def fit_rows(
    observed: xr.Dataset,
    library: Callable[[float | None], ModelLibrary],
    *,
    settings: FitConfig,
    free_redshift: bool,
    report: Callable[[int], None] = lambda _: None,
) -> FitRows:
    """Return the fits of SEDs, those of one redshift together.

    Parameters
    ----------
    observed : Dataset
        Schema seds/1.
    library : callable
        Gives the models of a redshift; of None, where it is free.
    settings : FitConfig
        Method and likelihood.
    free_redshift : bool
        Whether redshift is fitted.
    report : callable
        Told of the number of SEDs that are done.

    Raises
    ------
    ConfigError
        If the settings do not fit the models.
    """
    found = FitRows()
    for redshift, rows in _by_redshift(observed, found.reasons, free=free_redshift):
        try:
            prepared = fitter_of(settings).prepare(library(redshift))
            for start in range(0, rows.size, settings.block_size):
                block = rows[start : start + settings.block_size]
                found.parts[tuple(block.tolist())] = prepared.fit(seds_of(observed, block))
                report(block.size)
        except DataError as error:
            done = {row for part in found.parts for row in part}
            left = [row for row in rows.tolist() if row not in done]
            found.reasons |= dict.fromkeys(left, str(error))
            report(len(left))
    return found


def seds_of(observed: xr.Dataset, rows: NDArray[np.intp]) -> Seds:
    """Return some rows of a dataset of schema seds/1 as a fitter takes them.

    The random stream of an SED is that of its name.
    """
    some = observed.isel(bin=rows)
    values = {name: some[name].values for name in SPECTRAL if name in some}
    return Seds(
        flux=some["flux"].values,
        flux_err=some["flux_err"].values,
        keys=tuple((str(name), "fit") for name in some["id"].values),
        upper_limit=some["upper_limit"].values,
        **values,
    )


def with_shared_redshifts(models: ModelConfig, redshifts: NDArray[np.float64]) -> ModelConfig:
    """Return settings that share models among redshifts, where these are many."""
    given = models.stored is not None or models.redshift_step is not None
    if given or "redshift" in models.priors:
        return models
    if np.unique(redshifts[np.isfinite(redshifts)]).size <= MANY_REDSHIFTS:
        return models
    logger.info("models are shared between redshifts %g apart in ln(1 + z)", SHARED_STEP)
    return models.model_copy(update={"redshift_step": SHARED_STEP})


def warn(observed: xr.Dataset, fitted: xr.Dataset, reasons: Mapping[int, str]) -> None:
    """Log what a user should know of the SEDs, naming some of them."""
    names = observed["id"].values
    by_reason: dict[str, list[str]] = {}
    for row, reason in reasons.items():
        by_reason.setdefault(reason, []).append(str(names[row]))
    for reason, which in by_reason.items():
        logger.warning("not fitted: %s: %s", _some(which), reason)
    odd = names[(fitted["flags"].values & int(Flag.ODD_FLUX)) != 0]
    if odd.size:
        logger.warning(
            "odd_flux: %s: no galaxy has such fluxes: is their unit right?",
            _some([str(name) for name in odd]),
        )


def _some(names: Sequence[str]) -> str:
    """Return some of many names."""
    shown = ", ".join(repr(name) for name in names[:_MAX_NAMED])
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    return f"SED{'s' * (len(names) > 1)} {shown}{more}"


def _by_redshift(
    observed: xr.Dataset, reasons: dict[int, str], *, free: bool
) -> Iterator[tuple[float | None, NDArray[np.intp]]]:
    """Yield each redshift and its rows; note why others have none."""
    values = observed["redshift"].values
    if free:
        yield None, np.arange(values.size)
        return
    usable = np.isfinite(values) & (values > 0)
    for row in np.flatnonzero(~usable):
        reasons[int(row)] = f"redshift is {values[row]:g}; wanted a positive number"
    for redshift in np.unique(values[usable]):
        yield float(redshift), np.flatnonzero(values == redshift)


def _reporter(stack: ExitStack, n_sed: int, *, shown: bool | None) -> Callable[[int], None]:
    """Return what tells of progress."""
    if not (n_sed > FEW_SEDS if shown is None else shown):
        return lambda _: None
    bars = stack.enter_context(ProgressBars(stages=("fit",)))
    bars.expect("fit", n_sed)

    def report(n_done: int) -> None:
        for _ in range(n_done):
            bars.done(Record("", "fit", "", "", "done"))

    return report
