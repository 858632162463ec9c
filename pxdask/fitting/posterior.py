"""What was fitted and what came out of it: tables, samples, model SEDs, histories."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import xarray as xr
from astropy.table import QTable
from astropy.units import Quantity

from pxdask.core.errors import ConfigError, DataError
from pxdask.core.flags import Flag
from pxdask.core.random import stream
from pxdask.core.schema import FIT, QUANTILES, SEDS
from pxdask.fitting.draws import drawn_seds, star_formation_rates
from pxdask.fitting.tables import NUMBERS, add_results, flag_words, results_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from pxdask.sps.libraries import ModelLibrary

    Floats = NDArray[np.float64]

FLAM = "erg / (s cm2 Angstrom)"


@dataclass(frozen=True, eq=False)
class ModelSed:
    """The models that fit an SED: photometry and spectrum.

    Attributes
    ----------
    bands : tuple of str
        Names.
    pivot_wave : (n_band,) Quantity
        Pivot wavelengths [Angstrom].
    quantiles : (n_quantile,)
        Posterior probability below the values.
    flux : (n_quantile, n_band) Quantity
        Model photometry [uJy].
    wave : (n_wave,) Quantity
        Observed wavelengths, vacuum [Angstrom].
    spectrum : (n_quantile, n_wave) Quantity
        Model spectrum [erg s-1 cm-2 Angstrom-1].
    """

    bands: tuple[str, ...]
    pivot_wave: Quantity
    quantiles: Floats
    flux: Quantity
    wave: Quantity
    spectrum: Quantity


@dataclass(frozen=True, eq=False)
class SfhPosterior:
    """Star formation rate against lookback time.

    Attributes
    ----------
    edges : (n_time + 1,) Quantity
        Of the intervals of lookback time [Gyr].
    time : (n_time,) Quantity
        Their middles [Gyr].
    quantiles : (n_quantile,)
        Posterior probability below the values.
    rate : (n_quantile, n_time) Quantity
        Mean star formation rate in the intervals [Msun yr-1].
    """

    edges: Quantity
    time: Quantity
    quantiles: Floats
    rate: Quantity


@dataclass(frozen=True, eq=False)
class FittedSeds:
    """SEDs, and what their posteriors say.

    Attributes
    ----------
    fit : Dataset
        Schema fit/2.
    seds : Dataset
        Schema seds/1: what was fitted, row by row.
    model_library : callable
        Gives the models of a redshift; of None, where redshift is free.
    seed : int
        Of what is drawn from the samples.
    free_redshift : bool
        Whether redshift was a parameter.

    Raises
    ------
    DataError
        If the two datasets are of different SEDs.
    """

    fit: xr.Dataset
    seds: xr.Dataset
    model_library: Callable[[float | None], ModelLibrary]
    seed: int = 1
    free_redshift: bool = False

    def __post_init__(self) -> None:
        FIT.validate(self.fit)
        SEDS.validate(self.seds)
        if self.fit.sizes["bin"] != self.seds.sizes["bin"]:
            raise DataError(
                f"{self.fit.sizes['bin']} posteriors of {self.seds.sizes['bin']} SEDs; wanted as"
                " many"
            )

    def __len__(self) -> int:
        return int(self.fit.sizes["bin"])

    def __repr__(self) -> str:
        fitted = int(np.sum((self.fit["flags"].values & int(Flag.NOT_FITTED)) == 0))
        words = f"{fitted} of {len(self)} SEDs fitted, {len(self.results)} results"
        return f"<{type(self).__name__}: {words}>"

    @property
    def ids(self) -> tuple[str, ...]:
        """Names of the SEDs."""
        return tuple(str(name) for name in self.seds["id"].values)

    @property
    def results(self) -> tuple[str, ...]:
        """Names of parameters and derived quantities that have a posterior."""
        return results_of(self.fit)

    def rows(self, which: Sequence[int] | NDArray[np.intp] | slice) -> Self:
        """Return some of the SEDs."""
        return replace(self, fit=self.fit.isel(bin=which), seds=self.seds.isel(bin=which))

    def to_dataset(self) -> xr.Dataset:
        """Return the posteriors as schema fit/2, with the SEDs' names as a coordinate."""
        return self.fit.assign_coords(id=self.seds["id"].variable)

    def summary(self) -> QTable:
        """Return one row for each SED, with units.

        Columns: ``id``; ``redshift`` where it is not free; of every result its quantiles
        (``_p16``, ``_p50``, ``_p84``), ``_mean`` and ``_std``; chi-square, number of bands,
        effective number of models, evidence and what the method tells of itself; ``flags`` as
        words, "" where all is well.
        """
        table = QTable({"id": np.array(self.ids)})
        if not self.free_redshift:
            table["redshift"] = self.seds["redshift"].values
        add_results(table, self.fit)
        for name in NUMBERS:
            if name in self.fit:
                table[name] = self.fit[name].values
                table[name].info.description = str(self.fit[name].attrs["long_name"])
        table["flags"] = np.array([flag_words(bits) for bits in self.fit["flags"].values])
        return table

    def sample(self, n: int | None = None, *, rng: np.random.Generator | None = None) -> xr.Dataset:
        """Return posterior samples.

        Parameters
        ----------
        n : int, optional
            Samples of each SED, drawn from those that were kept, again and again where these
            are fewer; default: all that were kept.
        rng : numpy.random.Generator, optional
            Chooses them; default: the same choice each time.

        Returns
        -------
        samples : Dataset
            Every result, (bin, sample), by its name, with its unit; NaN for an SED without a
            posterior. Samples of one number are of one model.

        Raises
        ------
        ConfigError
            If no samples were kept.
        """
        kept = {name: self.fit.get(f"{name}_samples") for name in self.results}
        found = {name: values for name, values in kept.items() if values is not None}
        if not found:
            raise ConfigError(
                "no posterior samples were kept: fit with n_samples, such as"
                " FitConfig(n_samples=500)"
            )
        samples = xr.Dataset(
            {name: values.assign_attrs(self.fit[name].attrs) for name, values in found.items()},
            coords={"id": self.seds["id"].variable},
        )
        if n is None:
            return samples
        n_kept = samples.sizes["sample"]
        chooser = stream(self.seed, "sample", n) if rng is None else rng
        return samples.isel(sample=chooser.choice(n_kept, n, replace=n > n_kept))

    def model_sed(
        self,
        which: int | str = 0,
        *,
        quantiles: Sequence[float] = QUANTILES,
        n_draw: int = 100,
    ) -> ModelSed:
        """Return quantiles of the photometry and the spectrum of an SED's models.

        Parameters
        ----------
        which : int or str
            Row, or name, of the SED.
        quantiles : sequence of float
            Posterior probabilities.
        n_draw : int
            Posterior samples of which models are made.

        Raises
        ------
        ConfigError
            If no samples were kept, or there is no such SED.
        DataError
            If the SED has no posterior.
        """
        library = self.models_of(which)
        drawn = drawn_seds(library, self.draws(which, n_draw=n_draw))
        return ModelSed(
            bands=library.bands,
            pivot_wave=Quantity(self.seds["pivot_wave"].values, "Angstrom"),
            quantiles=np.array(quantiles, np.float64),
            flux=Quantity(np.quantile(drawn.flux, quantiles, axis=0), "uJy"),
            wave=Quantity(drawn.wave, "Angstrom"),
            spectrum=Quantity(np.quantile(drawn.spectrum, quantiles, axis=0), FLAM),
        )

    def sfh(
        self,
        which: int | str = 0,
        *,
        n_time: int = 50,
        quantiles: Sequence[float] = QUANTILES,
        n_draw: int = 500,
    ) -> SfhPosterior:
        """Return quantiles of an SED's star formation rate against lookback time.

        Parameters
        ----------
        which, quantiles, n_draw
            As of `model_sed`; the same errors.
        n_time : int
            Intervals of lookback time.
        """
        draws = self.draws(which, n_draw=n_draw)
        edges, rates = star_formation_rates(self.models_of(which), draws, n_time=n_time)
        return SfhPosterior(
            edges=Quantity(edges, "Gyr"),
            time=Quantity(0.5 * (edges[1:] + edges[:-1]), "Gyr"),
            quantiles=np.array(quantiles, np.float64),
            rate=Quantity(np.quantile(rates, quantiles, axis=0), "Msun / yr"),
        )

    def to_arviz(self) -> Any:  # noqa: ANN401  an arviz InferenceData, whose package is optional
        """Return the samples as arviz InferenceData, with the dimension ``sed``.

        Chains are those of MCMC's walkers where ``fit.mcmc.keep_chains`` was set: of each the
        same steps, spread evenly over what follows burn-in, so that R-hat can be computed of them.
        Else there is one chain, whose samples were drawn at random from all walkers, which were
        thinned, or from the weighted models of another method: neither R-hat nor an
        autocorrelation of it means anything; those of the walkers are `rhat` and `tau` of
        `summary`.

        Raises
        ------
        ConfigError
            If arviz is not installed, or no samples were kept.
        """
        posterior = _as_chains(self.sample(), int(self.fit.attrs.get("n_chain", 1)))
        observed = self.seds[["flux", "flux_err"]].rename(bin="sed")
        with warnings.catch_warnings():
            # arviz tells every user of its next major version when it is imported
            warnings.simplefilter("ignore", FutureWarning)
            try:
                import arviz as az  # noqa: PLC0415  optional, and slow to import
            except ImportError as error:
                raise ConfigError('to_arviz needs arviz: pip install "pxdask[arviz]"') from error
            return az.InferenceData(
                posterior=posterior.transpose("chain", "draw", ...),
                observed_data=observed,
            )

    def index(self, which: int | str) -> int:
        """Return the row of an SED, from 0; a negative number counts from the end.

        Raises
        ------
        ConfigError
            If there is none.
        """
        if isinstance(which, str):
            found = np.flatnonzero(self.seds["id"].values == which)
            if found.size == 0:
                raise ConfigError(f"there is no SED {which!r} among {len(self)}")
            return int(found[0])
        if not -len(self) <= which < len(self):
            raise ConfigError(f"there is no SED number {which}; there are {len(self)}")
        return int(which) % len(self)

    def models_of(self, which: int | str = 0) -> ModelLibrary:
        """Return the models of an SED's redshift, or of any, where redshift was a parameter.

        Raises
        ------
        ConfigError
            If there is no such SED.
        """
        row = self.index(which)
        return self.model_library(
            None if self.free_redshift else float(self.seds["redshift"].values[row])
        )

    def draws(self, which: int | str = 0, *, n_draw: int) -> dict[str, Floats]:
        """Return some posterior samples of one SED, the same each time.

        Parameters
        ----------
        which : int or str
            Row, or name, of the SED.
        n_draw : int
            How many; all that were kept, in their order, where these are not more.

        Returns
        -------
        draws : dict of (n_draw,) float64
            Every result by its name; finite. Samples of one number are of one model.

        Raises
        ------
        ConfigError
            If no samples were kept, or there is no such SED.
        DataError
            If the SED has no posterior.
        """
        row = self.index(which)
        samples = self.sample().isel(bin=row)
        values = {str(name): samples[name].values.astype(np.float64) for name in samples.data_vars}
        n_kept = samples.sizes["sample"]
        if n_draw < n_kept:
            chosen = stream(self.seed, "draws", n_draw).choice(n_kept, n_draw, replace=False)
            values = {name: value[chosen] for name, value in values.items()}
        if not all(np.all(np.isfinite(value)) for value in values.values()):
            words = flag_words(self.fit["flags"].values[row]) if "flags" in self.fit else ""
            raise DataError(f"SED {self.ids[row]!r} has no posterior: {words or 'not finite'}")
        return values


def _as_chains(samples: xr.Dataset, n_chain: int) -> xr.Dataset:
    """Return samples (bin, sample), chain after chain, as (sed, chain, draw)."""
    shape = (samples.sizes["bin"], n_chain, samples.sizes["sample"] // n_chain)
    variables = {
        name: (("sed", "chain", "draw"), value.values.reshape(shape), value.attrs)
        for name, value in samples.data_vars.items()
    }
    numbers = {"chain": np.arange(n_chain), "draw": np.arange(shape[2])}
    return xr.Dataset(variables, {"id": ("sed", samples["id"].values), **numbers})
