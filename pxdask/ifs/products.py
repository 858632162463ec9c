"""What spectra tell by themselves: lines of gas, the break at 4000 Angstrom, star formation."""

from __future__ import annotations

import logging
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import xarray as xr

from pxdask.core.cosmology import luminosity_distance
from pxdask.core.errors import DataError
from pxdask.core.flags import Flag, flag_attrs
from pxdask.core.random import stream
from pxdask.core.rows import redshift_of
from pxdask.core.schema import BINS, CUBE, FIT, LINE_MAPS, LINES, Schema
from pxdask.ifs.indices import dn4000
from pxdask.ifs.lines import REST_WAVE, EmissionLines, measure_lines
from pxdask.ifs.sfr import StarFormation, star_formation
from pxdask.kernels.painting import painted
from pxdask.sps.observed import Observer
from pxdask.sps.parameters import model_parameters

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from pxdask.core.models import ModelConfig
    from pxdask.sps.libraries import ModelLibrary

    Floats = NDArray[np.float64]

logger = logging.getLogger(__name__)

_SHARED = ("flux", "flux_err", "limit", "luminosity", "luminosity_err", "sfr", "sfr_err")
"""Properties that are sums over a bin's pixels, of which a map gives each pixel its part."""


@dataclass(frozen=True, eq=False)
class Spectra:
    """Spectra whose products are wanted.

    Attributes
    ----------
    wave, lsf_fwhm : (n_wave,) float64
        Observed frame, vacuum, and width of the line spread function [Angstrom].
    flux, flux_err : (n_bin, n_wave) float64
        [1e-17 erg s-1 cm-2 Angstrom-1]; NaN where there is none.
    n_pix : (n_bin,) int32
        Pixels of each.
    bin_map : (ny, nx) int32
        Where they are, -1 outside.
    wcs : str or None
        FITS header of the map.
    """

    wave: Floats
    lsf_fwhm: Floats
    flux: Floats
    flux_err: Floats
    n_pix: NDArray[np.int32]
    bin_map: NDArray[np.int32]
    wcs: str | None


def spectra_of_bins(bins: xr.Dataset) -> Spectra:
    """Return the spectra of bins.

    Raises
    ------
    SchemaError
        If the dataset is not ``bins/1``.
    DataError
        If it has no spectra.
    """
    BINS.validate(bins)
    if missing := [name for name in ("wave", "spectrum", "spectrum_err") if name not in bins]:
        raise DataError(f"the bins have no {', '.join(missing)}; wanted bins with spectra")
    wave = bins["wave"].values
    lsf = bins["lsf_fwhm"].values if "lsf_fwhm" in bins else np.full(wave.size, np.nan)
    return Spectra(
        wave=wave,
        lsf_fwhm=lsf,
        flux=bins["spectrum"].values,
        flux_err=bins["spectrum_err"].values,
        n_pix=bins["n_pix"].values,
        bin_map=bins["bin_map"].values,
        wcs=bins.attrs.get("wcs"),
    )


def spectra_of_pixels(cube: xr.Dataset) -> Spectra:
    """Return the spectra of a cube's pixels as bins of one pixel, in row-major order.

    Parameters
    ----------
    cube : Dataset
        ``cube/1``; pixels of its ``region`` count, or all with a value if it has none.

    Raises
    ------
    SchemaError
        If the dataset is not ``cube/1``.
    DataError
        If no pixel has a spectrum.
    """
    CUBE.validate(cube)
    flux = cube["flux"].values
    region = cube["region"].values if "region" in cube else np.isfinite(flux).any(axis=0)
    n_bin = int(region.sum())
    if n_bin == 0:
        raise DataError("no pixel of the cube has a spectrum")
    bin_map = np.full(region.shape, -1, dtype=np.int32)
    bin_map[region] = np.arange(n_bin, dtype=np.int32)
    return Spectra(
        wave=cube["wave"].values,
        lsf_fwhm=cube["lsf_fwhm"].values,
        flux=np.ascontiguousarray(flux[:, region].T, np.float64),
        flux_err=np.ascontiguousarray(cube["flux_err"].values[:, region].T, np.float64),
        n_pix=np.ones(n_bin, np.int32),
        bin_map=bin_map,
        wcs=cube.attrs.get("wcs"),
    )


def spectral_products(
    spectra: Spectra,
    *,
    redshift: float,
    distance: float,
    rng: np.random.Generator,
    starlight: Floats | None = None,
    n_draws: int = 100,
) -> xr.Dataset:
    """Return lines, the break at 4000 Angstrom, dust and star formation of spectra.

    Parameters
    ----------
    spectra : Spectra
        Of bins or pixels.
    redshift : float
        Above -1.
    distance : float
        Luminosity distance [Mpc].
    rng : numpy.random.Generator
        Source of bootstraps.
    starlight : (n_bin, n_wave) float64, optional
        Spectra of the stars alone, of any scale; rows that are not finite count as not given,
        and are flat. See `posterior_starlight`.
    n_draws : int
        Draws of each bootstrap.

    Returns
    -------
    products : Dataset
        Schema lines/1. Lines that are not covered are NaN and flagged NO_DATA; those not detected
        keep their flux, and are flagged UPPER_LIMIT.
    """
    wave, flux, error = spectra.wave, spectra.flux, spectra.flux_err
    if starlight is not None:
        known = np.all(np.isfinite(starlight), axis=1, keepdims=True)
        starlight = np.where(known & np.any(starlight > 0, axis=1, keepdims=True), starlight, 1.0)
    lines = measure_lines(
        wave, flux, error, redshift=redshift, lsf_fwhm=spectra.lsf_fwhm, starlight=starlight
    )
    index = dn4000(wave, flux, error, redshift=redshift, rng=rng, n_draws=n_draws)
    alpha, beta = (lines.names.index(name) for name in ("halpha", "hbeta"))
    stars = star_formation(
        lines.flux[:, alpha],
        lines.flux[:, beta],
        halpha_err=lines.flux_err[:, alpha],
        hbeta_err=lines.flux_err[:, beta],
        distance=distance,
        rng=rng,
        n_draws=n_draws,
    )
    values: dict[str, NDArray[Any]] = _of_lines(lines) | {
        each.name: getattr(stars, each.name) for each in fields(StarFormation)
    }
    values |= {"dn4000": index.value, "dn4000_err": index.error}
    values |= {"bin_map": spectra.bin_map, "n_pix": spectra.n_pix}
    ds = xr.Dataset(
        {name: (LINES.variables[name].dims, v, LINES.attrs(name)) for name, v in values.items()},
        attrs={"schema": LINES.tag, "redshift": float(redshift), "distance_mpc": float(distance)},
    ).set_coords(["line", "rest_wave"])
    ds["flags"].attrs.update(flag_attrs())
    return LINES.validate(ds.assign_attrs({} if spectra.wcs is None else {"wcs": spectra.wcs}))


def paint_products(products: xr.Dataset) -> xr.Dataset:
    """Return maps of spectral products.

    Parameters
    ----------
    products : Dataset
        Schema lines/1 with ``bin_map``.

    Returns
    -------
    maps : Dataset
        Schema line-maps/1: each property of bins, and each of lines under its name and the
        line's (``flux_halpha``). Fluxes, luminosities and star formation rates are divided by
        the bin's pixels, so that a map's sum is that of the bins; uncertainties are divided too,
        and so are of the bin's total over its pixels, not of pixels that vary by themselves.

    Raises
    ------
    SchemaError
        If the dataset is not ``lines/1``.
    DataError
        If it has no map.
    """
    LINES.validate(products)
    if "bin_map" not in products:
        raise DataError("the products have no bin_map; wanted where their bins are")
    bin_map = products["bin_map"].values
    part = 1.0 / np.maximum(products["n_pix"].values, 1)
    found: dict[str, tuple[tuple[str, str], NDArray[np.float32], dict[str, Any]]] = {}
    for key, array in products.data_vars.items():
        name = str(key)
        if array.dtype != np.float64 or array.dims[0] != "bin":
            continue
        columns = array.values.reshape(len(part), -1)
        scaled = columns * part[:, None] if name in _SHARED else columns
        labels = products["line"].values if array.ndim == 2 else [""]
        for i, label in enumerate(labels):
            plane = painted(scaled[:, i].astype(np.float32), bin_map)
            text = {**array.attrs, "long_name": f"{array.attrs['long_name']} {label}".strip()}
            found[f"{name}_{label}" if label else name] = (("y", "x"), plane, text)
    attrs = {k: v for k, v in products.attrs.items() if k != "schema"} | {"schema": LINE_MAPS.tag}
    return LINE_MAPS.validate(xr.Dataset(found, attrs=attrs))


def posterior_starlight(
    fit: xr.Dataset,
    library: ModelLibrary,
    *,
    wave: Floats,
    lsf_fwhm: Floats,
    sigma: float = 0.0,
) -> Floats:
    """Return spectra of the stars of fits, without light of gas.

    Parameters
    ----------
    fit : Dataset
        ``fit/2``; the medians of its parameters are used.
    library : ModelLibrary
        Populations, settings, redshift of the fit.
    wave, lsf_fwhm : (n_wave,) float64
        Of the spectra [Angstrom].
    sigma : float
        Velocity dispersion of the stars [km s-1].

    Returns
    -------
    starlight : (n_bin, n_wave) float64
        [1e-17 erg s-1 cm-2 Angstrom-1 Msun-1]; NaN for bins without a posterior.

    Notes
    -----
    Abdurro'uf et al. 2021, section 6.4, subtracts the continuum of the median posterior model. A
    fit's ``model_spectrum`` cannot serve: it has lines of gas in it if its models have.
    """
    FIT.validate(fit)
    redshift = library.redshift
    settings = _without_gas(library.settings)
    names = [name for name in model_parameters(settings) if name in fit]
    medians = {name: fit[name].sel(quantile=0.5).values for name in names}
    if redshift is None:
        raise DataError("starlight needs the galaxy's redshift; the library has none")
    known = np.all([np.isfinite(value) for value in medians.values()], axis=0)
    starlight = np.full((fit.sizes["bin"], len(wave)), np.nan)
    if np.any(known):
        observer = Observer(
            library.ssp,
            settings=settings,
            redshifts=(redshift, redshift),
            wave=wave,
            lsf_fwhm=lsf_fwhm,
            sigma=sigma,
        )
        starlight[known] = observer.spectra({k: v[known] for k, v in medians.items()})
    return starlight


@dataclass(frozen=True)
class LinesStage:
    """Spectral products of a galaxy's bins, over the starlight of their fits.

    Attributes
    ----------
    model_library : callable
        Gives the models of a redshift.
    model_settings : mapping
        What identifies the models, as JSON values.
    seed : int
        Of the run; bootstraps depend on it and on the galaxy.
    sigma : float
        Velocity dispersion of the stars [km s-1]; that of the fit's spectra.
    n_draws : int
        Draws of each bootstrap.
    """

    model_library: Callable[[float], ModelLibrary]
    model_settings: Mapping[str, object]
    seed: int
    sigma: float = 0.0
    n_draws: int = 100

    name: ClassVar[str] = "lines"
    version: ClassVar[int] = 1
    inputs: ClassVar[tuple[str, ...]] = ("bins", "fit")
    output: ClassVar[Schema] = LINES

    def settings(self) -> dict[str, Any]:
        """Return what the output depends on, as JSON values."""
        return {
            "models": dict(self.model_settings),
            "seed": self.seed,
            "sigma": self.sigma,
            "n_draws": self.n_draws,
        }

    def run(self, galaxy: Mapping[str, object], *, bins: xr.Dataset, fit: xr.Dataset) -> xr.Dataset:
        """Return the products of a galaxy's bins.

        Parameters
        ----------
        galaxy : mapping
            Catalogue row: ``id`` and ``redshift``.
        bins : Dataset
            ``bins/1`` with spectra.
        fit : Dataset
            ``fit/2`` of the same bins.

        Returns
        -------
        products : Dataset
            Schema lines/1.

        Raises
        ------
        DataError
            If the bins have no spectra, or the redshift is not a positive number.
        """
        name = galaxy.get("id", "of unknown id")
        redshift = redshift_of(galaxy)
        spectra, library = spectra_of_bins(bins), self.model_library(redshift)
        logger.info("galaxy %s: products of %d spectra", name, len(spectra.flux))
        return spectral_products(
            spectra,
            redshift=redshift,
            distance=luminosity_distance(library.settings, redshift=redshift),
            rng=stream(self.seed, str(name), self.name),
            starlight=posterior_starlight(
                fit,
                library,
                wave=spectra.wave,
                lsf_fwhm=spectra.lsf_fwhm,
                sigma=self.sigma,
            ),
            n_draws=self.n_draws,
        )


def _without_gas(settings: ModelConfig) -> ModelConfig:
    """Return settings of the same models without light of gas."""
    dark = settings.model_copy(update={"nebular": False})
    known = model_parameters(dark)
    priors = {name: prior for name, prior in settings.priors.items() if name in known}
    return dark.model_copy(update={"priors": priors})


def _of_lines(lines: EmissionLines) -> dict[str, NDArray[Any]]:
    """Return the variables that describe lines."""
    names = ("flux", "flux_err", "limit", "width", "width_err", "velocity", "velocity_err",
             "sigma", "sigma_err", "chi2", "n_used")  # fmt: skip
    found: dict[str, NDArray[Any]] = {name: getattr(lines, name) for name in names}
    flags = np.where(np.isfinite(lines.limit), int(Flag.UPPER_LIMIT), 0)
    flags = np.where(np.isfinite(lines.flux), flags, int(Flag.NO_DATA))
    found["limit"] = np.where(np.isfinite(lines.flux), lines.limit, np.nan)
    return found | {
        "line": np.array(lines.names, dtype=object),
        "rest_wave": np.array([REST_WAVE[name] for name in lines.names]),
        "flags": flags.astype(np.uint16),
    }
