"""Spectra of pixels brought to the flux scale of the images."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

from pxdask.core.errors import ConfigError, DataError
from pxdask.core.flags import Flag
from pxdask.core.schema import CUBE, IMAGE, MODELS
from pxdask.kernels.best_model import Best, best_models
from pxdask.kernels.emission_lines import near_lines
from pxdask.kernels.legendre import legendre_basis
from pxdask.kernels.legendre_match import match_factors
from pxdask.kernels.likelihood import total_error, usable_bands
from pxdask.sps.observed import observer_of, redshift_range

if TYPE_CHECKING:
    from collections.abc import Iterator

    import xarray as xr
    from numpy.typing import NDArray

    from pxdask.core.ifs import MatchConfig
    from pxdask.sps.libraries import ModelLibrary

    Floats = NDArray[np.float64]

logger = logging.getLogger(__name__)

_BLOCK = 2**20
"""Pixels times wavelengths that are float64 at one time: 8 MiB an array."""

_MIN_BANDS = 3
"""Usable bands that the photometry of a pixel needs to have a level and a colour."""

_MIN_SNR = 5.0
"""Signal-to-noise ratio that they need together."""

_MODEL_ERROR = 0.03
"""Error of model spectra, of flux. What models of broad bands leave open between them; it has no
effect on wavelengths of S/N far below 30."""

_UNUSABLE = int(Flag.NO_DATA | Flag.NO_ERROR | Flag.MASKED)


@dataclass(frozen=True, eq=False)
class MatchResult:
    """Factors that bring spectra to the images' light.

    Attributes
    ----------
    polynomial : (order + 1, ny, nx) float32
        Legendre coefficients of the factor [1]; 1, 0, 0, ... where there is none.
    chi2 : (ny, nx) float32
        Chi-square of the photometry's best model [1]; NaN where there is none.
    model : (ny, nx) int64
        The best model's number in the library; -1 where there is none.
    scale : (ny, nx) float64
        The best model's amplitude [Msun]; NaN where there is none.
    order : (ny, nx) int64
        Highest order in use; -1 where a pixel has no factor.
    ends : (float, float)
        Wavelengths at which the polynomials' argument is -1 and 1 [Angstrom]; beyond them the
        factor stays what it is there.
    """

    polynomial: NDArray[np.float32]
    chi2: NDArray[np.float32]
    model: NDArray[np.int64]
    scale: Floats
    order: NDArray[np.int64]
    ends: tuple[float, float]

    def factor(self, wave: Floats, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Floats:
        """Return the factor of some pixels, (n_wave, n_pixel) [1]."""
        basis = legendre_basis(wave, ends=self.ends, order=self.polynomial.shape[0] - 1)
        return np.asarray(basis.T @ self.polynomial[:, rows, columns].astype(np.float64))


def match_spectra(
    images: xr.Dataset, spectra: xr.Dataset, library: ModelLibrary, *, settings: MatchConfig
) -> MatchResult:
    """Return the smooth factor of every pixel's spectrum.

    Parameters
    ----------
    images : Dataset
        ``image/1`` on the grid of the spectra. A flux counts where it is finite, its error finite
        and positive, and it is not flagged NO_DATA, NO_ERROR or MASKED.
    spectra : Dataset
        ``cube/1``. Only pixels in ``region`` (if there is one) are matched. A value counts by the
        same rules, and away from emission lines.
    library : ModelLibrary
        Models with the bands of the images, in their order.
    settings : MatchConfig
        Order, width of what is left out at lines, resolution, error of photometry.

    Returns
    -------
    result : MatchResult
        A pixel has a factor where three bands or more have an S/N of five together, a model has
        a positive amplitude, and the series is believed; see
        `pxdask.kernels.legendre_match.match_factors`.

    Raises
    ------
    DataError
        If the grids differ, or the models have no redshift.
    ConfigError
        If the models' bands are not those of the images.

    Notes
    -----
    Abdurro'uf et al. 2021 (ApJS 254, 15), section 3.2: the ratio of the spectrum of the model
    that fits the photometry best, by chi-square, and the observed one, fitted by a Legendre
    polynomial. So it is with ``settings.n_best`` 1. The mean of the eight best, weighted by
    likelihood, is nearer to pixels that lie between models or mix two populations: of a mock
    with 65,536 models, at S/N above 40, factors are then off by 2.2 % instead of 3.1 %; more
    models change no more.

    Models have the resolution of the cube. Where bins of the populations are wider than its
    lines, models are steps of the right mean, which is all that a smooth factor needs, so these
    wavelengths count.
    """
    _check(images, spectra, library)
    wave = spectra["wave"].values.astype(np.float64)
    fitted = _away_from_lines(wave, redshifts=redshift_range(library), settings=settings)
    inside = wave[fitted] if np.any(fitted) else wave
    ends = (float(inside[0]), float(inside[-1]))
    pixels, best = _nearest(images, spectra, library, settings=settings)
    grid = spectra["flux"].shape[1:]
    result = MatchResult(
        polynomial=np.zeros((settings.order + 1, *grid), np.float32),
        chi2=np.full(grid, np.nan, np.float32),
        model=np.full(grid, -1),
        scale=np.full(grid, np.nan),
        order=np.full(grid, -1),
        ends=ends,
    )
    result.polynomial[0] = 1.0
    result.chi2[pixels], result.model[pixels] = best.chi2[:, 0], best.model[:, 0]
    result.scale[pixels] = best.scale[:, 0]
    basis = legendre_basis(wave[fitted], ends=ends, order=settings.order)
    for part, models in _model_spectra(pixels, best, spectra, library, settings=settings):
        flux, error = (
            spectra[name].values[:, *part][fitted].astype(np.float64)
            for name in ("flux", "flux_err")
        )
        bad = spectra["flags"].values[:, *part][fitted] & _UNUSABLE > 0
        found = match_factors(
            np.where(bad, np.nan, flux), error, models[fitted], basis=basis,
            model_error=_MODEL_ERROR,
        )  # fmt: skip
        result.polynomial[:, *part], result.order[part] = found.coefficients, found.order
    return result


def corrected(spectra: xr.Dataset, result: MatchResult) -> xr.Dataset:
    """Return spectra times their factors.

    Parameters
    ----------
    spectra : Dataset
        ``cube/1``.
    result : MatchResult
        Of `match_spectra`.

    Returns
    -------
    cube : Dataset
        ``cube/1`` with ``polynomial`` and ``match_chi2``; errors are multiplied too. Pixels of
        the region without a factor are as they were, and flagged NOT_FITTED.
        ``attrs["polynomial_ends"]`` are the wavelengths at which the polynomials' argument is
        -1 and 1 [Angstrom].
    """
    wave = spectra["wave"].values.astype(np.float64)
    made = {name: spectra[name].values.copy() for name in ("flux", "flux_err", "flags")}
    rows, columns = np.nonzero(result.order >= 0)
    step = max(1, _BLOCK // wave.size)
    for start in range(0, rows.size, step):
        part = rows[start : start + step], columns[start : start + step]
        factor = result.factor(wave, *part)
        for name in ("flux", "flux_err"):
            made[name][:, *part] = made[name][:, *part] * factor
    missed = _region(spectra) & (result.order < 0)
    made["flags"][:, missed] |= np.uint16(Flag.NOT_FITTED)
    matched = spectra.assign(
        {name: (spectra[name].dims, value, spectra[name].attrs) for name, value in made.items()}
    ).assign(
        polynomial=(("order", "y", "x"), result.polynomial, CUBE.attrs("polynomial")),
        match_chi2=(("y", "x"), result.chi2, CUBE.attrs("match_chi2")),
    )
    return CUBE.validate(matched.assign_attrs(polynomial_ends=list(result.ends)))


def _check(images: xr.Dataset, spectra: xr.Dataset, library: ModelLibrary) -> None:
    """Raise where inputs do not belong together."""
    IMAGE.validate(images)
    CUBE.validate(spectra)
    grids = images["flux"].shape[1:], spectra["flux"].shape[1:]
    if grids[0] != grids[1]:
        raise DataError(
            f"the images are on a grid of {grids[0]}, the spectra on {grids[1]}; bring the"
            " spectral cube to the images' grid first"
        )
    bands = [str(name) for name in images["band"].values]
    if bands != list(library.bands):
        raise ConfigError(
            f"the models have bands {list(library.bands)}, the images {bands}; wanted the same"
            " bands in the same order"
        )


def _away_from_lines(
    wave: Floats, *, redshifts: tuple[float, float], settings: MatchConfig
) -> NDArray[np.bool_]:
    """Return which observed wavelengths are at no line at any redshift of the models."""
    low, high = (wave / (1 + z) for z in redshifts[::-1])
    reach = 0.5 * (high - low) + settings.line_half_width
    return ~near_lines(0.5 * (low + high), half_width=reach)


def _region(spectra: xr.Dataset) -> NDArray[np.bool_]:
    """Return the pixels that have a spectrum, (ny, nx)."""
    if "region" in spectra:
        return np.asarray(spectra["region"].values, bool)
    return np.asarray(np.isfinite(spectra["flux"].values).any(axis=0))


def _nearest(
    images: xr.Dataset, spectra: xr.Dataset, library: ModelLibrary, *, settings: MatchConfig
) -> tuple[tuple[NDArray[np.intp], NDArray[np.intp]], Best]:
    """Return the pixels whose photometry has a best model, ordered by it, and these models."""
    inside = _region(spectra)
    flux, error = (
        images[name].values[:, inside].T.astype(np.float64) for name in ("flux", "flux_err")
    )
    bad = (images["flags"].values[:, inside].T & _UNUSABLE > 0) | ~usable_bands(flux, error)
    flux[bad] = np.nan
    snr = np.sqrt(np.sum(np.where(bad, 0.0, flux / np.where(bad, 1.0, error)) ** 2, axis=1))
    good = (np.count_nonzero(~bad, axis=1) >= _MIN_BANDS) & (snr >= _MIN_SNR)
    models = MODELS.validate(library.draw())["flux"].values.T
    total = total_error(flux, error, systematic_error=settings.systematic_error)
    best = best_models(
        flux[good], total[good], models, unit_flux=_usual(models), n_best=settings.n_best
    )
    chosen = np.flatnonzero(best.model[:, 0] >= 0)
    chosen = chosen[np.argsort(best.model[chosen, 0], kind="stable")]
    rows, columns = (axis[good][chosen] for axis in np.nonzero(inside))
    return (rows, columns), best.rows(chosen)


def _usual(models: NDArray[np.float32]) -> float:
    """Return the usual flux of a model [uJy Msun-1]."""
    some = models[:, :: max(models.shape[1] // 1000, 1)]
    return float(np.median(some[some > 0])) if np.any(some > 0) else 1.0


def _model_spectra(
    pixels: tuple[NDArray[np.intp], NDArray[np.intp]],
    best: Best,
    spectra: xr.Dataset,
    library: ModelLibrary,
    *,
    settings: MatchConfig,
) -> Iterator[tuple[tuple[NDArray[np.intp], NDArray[np.intp]], Floats]]:
    """Yield some pixels, and the spectra of their models (n_wave, n_pixel) in the cube's unit.

    Pixels come in the order of their best models, so that those of a block have many in common.
    """
    wave = spectra["wave"].values.astype(np.float64)
    lsf = spectra["lsf_fwhm"].values.astype(np.float64)
    if settings.lsf_fwhm is not None:
        lsf = np.full(wave.size, settings.lsf_fwhm)
    observer = observer_of(library, wave=wave, lsf_fwhm=lsf)
    drawn = library.draw()
    names = [str(name) for name, value in drawn.data_vars.items() if value.dims == ("model",)]
    step = max(1, _BLOCK // wave.size)
    amounts = best.weights * np.where(best.model >= 0, best.scale, 0.0)
    n_pixel, n_best = best.model.shape
    for start in range(0, n_pixel, step):
        part = slice(start, start + step)
        numbers, which = np.unique(np.maximum(best.model[part], 0), return_inverse=True)
        made = observer.spectra({name: drawn[name].values[numbers] for name in names})
        first = np.arange(0, which.size + 1, n_best)
        mix = csr_array(
            (amounts[part].ravel(), which.ravel(), first), shape=(first.size - 1, numbers.size)
        )
        yield (pixels[0][part], pixels[1][part]), (mix @ made).T
