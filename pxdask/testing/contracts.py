"""Checks that any stage and any fitter must pass; each raises AssertionError saying why."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
import xarray as xr

from pxdask.core.provenance import canonical_json
from pxdask.core.schema import FIT
from pxdask.fitting.seds import Seds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pxdask.core.schema import Schema
    from pxdask.fitting import Fitter
    from pxdask.sps.libraries import ModelLibrary


class _Stage(Protocol):
    """What the check of a stage needs of it."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def inputs(self) -> tuple[str, ...]: ...
    @property
    def output(self) -> Schema: ...
    def settings(self) -> Mapping[str, object]: ...
    @property
    def run(self) -> _Run: ...


class _Run(Protocol):
    """The work of a stage."""

    def __call__(self, galaxy: Mapping[str, object], **inputs: xr.Dataset) -> xr.Dataset: ...


def check_stage(
    stage: _Stage, galaxy: Mapping[str, object], inputs: Mapping[str, xr.Dataset]
) -> xr.Dataset:
    """Check that a stage keeps the promises that the survey relies on.

    It declares its name, version, inputs and output; its settings are JSON values, the same
    at each call; its output has its schema; it changes neither the galaxy nor its inputs,
    which may be read-only; and a second run gives the same bytes.

    Parameters
    ----------
    stage : Stage
        What is checked.
    galaxy : mapping
        Catalogue row.
    inputs : mapping
        Datasets by the names in ``stage.inputs``.

    Returns
    -------
    output : xarray.Dataset
        What the stage gave, for further tests.

    Raises
    ------
    AssertionError
        Naming the promise that was broken.
    """
    _require(bool(stage.name) and stage.version >= 1, "a stage has a name and a version from 1")
    _require(
        set(stage.inputs) == set(inputs),
        f"{stage.name} reads {stage.inputs}; the check was given {sorted(inputs)}",
    )
    settings = canonical_json(dict(stage.settings()))
    row, before = dict(galaxy), {name: digest(ds) for name, ds in inputs.items()}
    frozen = {name: _read_only(ds) for name, ds in inputs.items()}
    output = stage.run(galaxy, **frozen)
    stage.output.validate(output)
    _require(dict(galaxy) == row, f"{stage.name} changed the galaxy's row")
    for name, ds in frozen.items():
        _require(digest(ds) == before[name], f"{stage.name} changed its input {name!r}")
    again = stage.run(galaxy, **{name: ds.copy(deep=True) for name, ds in inputs.items()})
    _require(digest(again) == digest(output), f"{stage.name} gave other bytes at a second run")
    _require(
        canonical_json(dict(stage.settings())) == settings, f"{stage.name} changed its settings"
    )
    return output


def check_fitter(fitter: Fitter, library: ModelLibrary, *, snr: float = 50.0) -> xr.Dataset:
    """Check that a fitter keeps the promises of `pxdask.fitting.Fitter`.

    Its output is fit/2; it recovers models of the library from noiseless fluxes; a band
    without data is left out, and an SED without any is NaN; an SED's result does not depend,
    to the last bit, on those fitted beside it; a second fit gives the same bytes; nothing
    given to it is changed.

    Parameters
    ----------
    fitter : Fitter
        What is checked.
    library : ModelLibrary
        Of at least 3 bands and 5 models.
    snr : float
        Signal-to-noise ratio of the noiseless SEDs; a good fit's chi-square is below 1.

    Returns
    -------
    fit : xarray.Dataset
        Posteriors of the library's first SEDs, for further tests.

    Raises
    ------
    AssertionError
        Naming the promise that was broken.
    """
    models = _read_only(library.draw())
    n_band = models.sizes["band"]
    _require(n_band >= 3 and models.sizes["model"] >= 5, "give 3 bands and 5 models, or more")
    before = digest(models)
    prepared = fitter.prepare(replace(library, draw=lambda: models))

    def fit_of(flux: np.ndarray, flux_err: np.ndarray, numbers: Sequence[int]) -> xr.Dataset:
        return prepared.fit(Seds(flux, flux_err, tuple(("check", n) for n in numbers)))

    mass_formed = 1e9
    flux = mass_formed * models["flux"].values[:5].astype(np.float64)
    flux_err = np.abs(flux) / snr
    _freeze(flux, flux_err)
    fit = FIT.validate(fit_of(flux, flux_err, range(5)))
    _require(digest(models) == before, "the fitter changed the models")
    _require(fit.sizes["bin"] == 5, f"5 SEDs gave {fit.sizes['bin']} posteriors")
    _require(
        digest(fit_of(flux, flux_err, range(5))) == digest(fit), "a second fit gave other bytes"
    )
    _check_recovery(fit, models, flux, mass_formed=mass_formed)
    for order in ([4, 2, 0], [1], [3, 3]):
        alone = fit_of(flux[order], flux_err[order], order)
        for name in (str(key) for key in fit.data_vars if "bin" in fit[key].dims):
            same = alone[name].values.tobytes() == fit[name].values[order].tobytes()
            _require(same, f"{name} depends on the SEDs fitted beside it")
    _check_missing(fit_of, flux, flux_err)
    return fit


def _check_recovery(
    fit: xr.Dataset, models: xr.Dataset, flux: np.ndarray, *, mass_formed: float
) -> None:
    """Check posteriors of noiseless SEDs against the models they were made of."""
    _require(bool(np.all(fit["chi2"] < 1)), f"noiseless SEDs have chi2 {fit['chi2'].values}")
    close = np.allclose(fit["model_flux"].values, flux, rtol=0.1)
    _require(close, "the best models are not within 10 per cent of noiseless SEDs")
    truth = np.log10(mass_formed * models["surviving"].values[: flux.shape[0]])
    low, median, high = fit["log_mass"].values.T
    _require(
        bool(np.all((truth > 2 * low - median - 0.3) & (truth < 2 * high - median + 0.3))),
        f"log_mass {median} is far from the truth, {truth}",
    )
    for name in (str(key) for key in fit.data_vars if "quantile" in fit[key].dims):
        ordered = np.all(np.diff(fit[name].values, axis=1) >= 0)
        _require(bool(ordered), f"the quantiles of {name} are not in order")


def _check_missing(fit: _Fit, flux: np.ndarray, flux_err: np.ndarray) -> None:
    """Check SEDs with bands that hold no data."""
    lacking = [(np.nan, 1.0), (1.0, np.nan), (1.0, 0.0), (1.0, -1.0), (1.0, np.inf)]
    found = []
    for bad_flux, bad_err in lacking:
        one, one_err = flux[:1].copy(), flux_err[:1].copy()
        one[0, 1], one_err[0, 1] = bad_flux, bad_err
        found.append(digest(fit(one, one_err, [0])))
    _require(len(set(found)) == 1, "results depend on how a missing band is written")
    nothing = fit(np.full_like(flux, np.nan), flux_err, range(len(flux)))
    for name in (str(key) for key in nothing.data_vars if nothing[key].dtype.kind == "f"):
        isnan = np.all(np.isnan(nothing[name].values))
        _require(bool(isnan), f"{name} of an SED without data is not NaN")


class _Fit(Protocol):
    """Posteriors of some SEDs."""

    def __call__(
        self, flux: np.ndarray, flux_err: np.ndarray, numbers: Sequence[int]
    ) -> xr.Dataset: ...


def digest(ds: xr.Dataset) -> str:
    """Return a key of everything a dataset holds: values to the last bit, names, attributes.

    The order of variables and of attributes does not count.
    """
    key = hashlib.blake2b(digest_size=16)
    key.update(_attrs_text(ds.attrs).encode())
    for name in sorted(str(each) for each in ds.variables):
        variable = ds[name]
        values = variable.values
        if values.dtype.kind in "OTU":
            data = "\x1f".join(str(value) for value in values.ravel()).encode()
        else:
            data = f"{values.dtype}".encode() + np.ascontiguousarray(values).tobytes()
        head = f"\x1e{name}{variable.dims}{values.shape}{_attrs_text(variable.attrs)}\x1e"
        key.update(head.encode())
        key.update(data)
    return key.hexdigest()


def _attrs_text(attrs: Mapping[object, object]) -> str:
    """Return attributes as text, in the order of their names."""
    return repr(sorted((str(name), str(value)) for name, value in attrs.items()))


def _read_only(ds: xr.Dataset) -> xr.Dataset:
    """Return a copy of a dataset whose arrays cannot be written to."""
    copy = ds.copy(deep=True)
    for variable in copy.variables.values():
        if not isinstance(variable, xr.IndexVariable):
            _freeze(variable.values)
    return copy


def _freeze(*arrays: np.ndarray) -> None:
    """Make arrays read-only."""
    for array in arrays:
        array.flags.writeable = False


def _require(condition: bool, message: str) -> None:  # noqa: FBT001 - reads as a sentence
    """Raise AssertionError where a promise is broken."""
    if not condition:
        raise AssertionError(message)
