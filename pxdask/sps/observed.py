"""Spectra of models as a spectrograph sees them: its frame, resolution and wavelengths."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.constants import C_ANGSTROM_S, FWHM_PER_SIGMA
from pxdask.core.cosmology import age_of_universe, luminosity_distance
from pxdask.core.errors import ConfigError, DataError
from pxdask.kernels.smoothing import total_sigma
from pxdask.kernels.stretching import stretched_means
from pxdask.sps.priors import ends_of, resolve_priors
from pxdask.sps.spectrum import SpectrumEngine

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr
    from numpy.typing import NDArray

    from pxdask.core.models import ModelConfig
    from pxdask.sps.libraries import ModelLibrary

    Floats = NDArray[np.float64]
    Spectra = NDArray[np.float32]

logger = logging.getLogger(__name__)

STELLAR_RESOLUTION = {
    "MILES": ((3525.0, 7410.0, 2.51), (7410.0, 9000.0, 3.0)),
}
"""Ranges of empirical libraries and the full width at half maximum of their lines there
[Angstrom, rest frame]: MILES, Falcon-Barroso et al. 2011 (A&A 532, A95); beyond its end STELIB,
Le Borgne et al. 2003 (A&A 402, 433). Products are known by the name in ``attrs["library"]``."""

BROAD_GAS = "fsps"
"""Word in ``attrs["source"]`` of products whose emission lines have a width of their own, about
that of the stars' lines; those of others are each in one bin."""

UNIT = 1e-17
"""Unit of spectra [erg s-1 cm-2 Angstrom-1]."""

_SHIFT = 0.01
"""Range of ln(1 + z) in which models of free redshift share one line spread function: lines are
then up to half of it too wide or too narrow [1]."""

_PER_STEP = 4
"""Bins per step of the data, from which spectra are shifted to their own redshifts."""

_COARSER = 1.02
"""Ratio of widths of lines, of the library and of the data, from which they are told apart [1]."""

_COARSE_BINS = (
    "the populations' bins are wider than lines of the data: these wavelengths are not fitted (a"
    " product of native resolution has finer bins)"
)
_COARSE_STARS = (
    "the library's lines are wider than those of the data, which no broadening can match: expect"
    " residuals at lines, or give a velocity dispersion"
)

_C_KM_S = C_ANGSTROM_S * 1e-13


def observed_spectra(
    library: ModelLibrary,
    parameters: Mapping[str, Floats],
    *,
    wave: Floats,
    lsf_fwhm: Floats | None = None,
    sigma: float = 0.0,
) -> Spectra:
    """Return spectra of models as a spectrograph sees them; see `Observer`.

    Parameters
    ----------
    library : ModelLibrary
        Populations, settings, redshift.
    parameters : mapping
        One array (n_model,) for each free parameter.
    wave, lsf_fwhm, sigma
        As of `Observer`.

    Returns
    -------
    spectra : (n_model, n_wave) float32
        [1e-17 erg s-1 cm-2 Angstrom-1 Msun-1], per mass formed.
    """
    return observer_of(library, wave=wave, lsf_fwhm=lsf_fwhm, sigma=sigma).spectra(parameters)


def observer_of(
    library: ModelLibrary, *, wave: Floats, lsf_fwhm: Floats | None = None, sigma: float = 0.0
) -> Observer:
    """Return what makes observed spectra of a library's models; see `Observer`."""
    ends = redshift_range(library)
    return Observer(
        library.ssp, settings=library.settings, redshifts=ends, wave=wave, lsf_fwhm=lsf_fwhm,
        sigma=sigma,
    )  # fmt: skip


def redshift_range(library: ModelLibrary) -> tuple[float, float]:
    """Return the least and greatest redshift of a library's models.

    Raises
    ------
    DataError
        If the library has neither a redshift nor a prior of one.
    """
    if "redshift" in library.settings.priors:
        return ends_of(resolve_priors(library.settings)["redshift"])
    if library.redshift is None:
        raise DataError("spectra need a redshift: the library has none, nor a prior for it")
    return library.redshift, library.redshift


@dataclass(frozen=True, eq=False)
class _View:
    """An engine of one redshift, and where its bins lie."""

    engine: SpectrumEngine
    redshift: float
    oldest: float  # log10 of the age of the universe [Gyr]

    def spectra(self, parameters: Mapping[str, Floats]) -> Spectra:
        """Return spectra in the engine's bins [1e-17 erg s-1 cm-2 Angstrom-1 Msun-1]."""
        given = {name: parameters[name] for name in self.engine.parameters if name in parameters}
        if "log_age" in given:
            # Models that galaxies of nearby redshifts share may be a trifle too old.
            given["log_age"] = np.minimum(given["log_age"], self.oldest)
        return self.engine.spectrum(given) / np.float32(UNIT)


class Observer:
    """From parameters to spectra as they are observed.

    Parameters
    ----------
    ssp : Dataset
        Schema ``ssp/2``.
    settings : ModelConfig
        Ingredients and cosmology.
    redshifts : (float, float)
        Range of the models' redshifts, > 0; equal: all have this one.
    wave : (n_wave,) float64
        Centres of the bins of the data, increasing; edges lie half way between [Angstrom,
        vacuum, observed frame].
    lsf_fwhm : (n_wave,) float64, optional
        Full width at half maximum of lines in the data, as measured on the binned spectrum
        [Angstrom]; interpolated where NaN. Default: not known, and models keep the library's
        width.
    sigma : float
        Velocity dispersion of the stars [km s-1].

    Raises
    ------
    ConfigError
        If widths are not such, or the wavelengths lie outside the populations.
    DataError
        If a redshift is not positive.

    Attributes
    ----------
    wave : (n_wave,) float64
        As given.
    resolved : (n_wave,) bool
        Where the populations' own bins are no wider than lines of the data. Elsewhere models
        are steps, to which no line can be compared.

    Notes
    -----
    The Gaussian that models are broadened with has the width of the data less that of the
    library's stars (`STELLAR_RESOLUTION`), of the library's bins and of the data's, in
    quadrature: these three are in the models already. Where the library's stars are coarser
    than the data, the models stay as they are and cannot match the data, which is logged; a
    velocity dispersion that is given counts as part of what is wanted. Lines of gas, but
    for those of some products (`BROAD_GAS`), have no width to be taken off but the bins'.

    Where redshifts differ, spectra are made in fine bins for intervals of 0.01 in ln(1 + z),
    shifted to the model's own redshift, and put into the data's bins; the line spread
    function is that of the interval's middle, right to 0.5 per cent of the width, and the
    intergalactic medium that of its start.
    """

    def __init__(
        self,
        ssp: xr.Dataset,
        *,
        settings: ModelConfig,
        redshifts: tuple[float, float],
        wave: Floats,
        lsf_fwhm: Floats | None = None,
        sigma: float = 0.0,
    ) -> None:
        self.wave = np.asarray(wave, np.float64)
        self.edges = bin_edges_of(self.wave)
        self._ssp, self._settings, self._sigma = ssp, settings, sigma
        self._low, self._high = redshifts
        if not 0 < self._low <= self._high:
            raise DataError(f"redshifts {redshifts}; wanted positive ones, in order")
        self._lsf = _known(self.wave, lsf_fwhm)
        self.resolved = self._resolved()
        self._views: dict[int, _View] = {}

    def spectra(self, parameters: Mapping[str, Floats]) -> Spectra:
        """Return spectra of models.

        Parameters
        ----------
        parameters : mapping
            One array (n_model,) for each free parameter; others are passed over.

        Returns
        -------
        spectra : (n_model, n_wave) float32
            Means over the bins [1e-17 erg s-1 cm-2 Angstrom-1 Msun-1], per mass formed.

        Raises
        ------
        ConfigError
            Naming every parameter that is missing or out of range.
        """
        if self._low == self._high:
            if not self._views:
                self._views[0] = self._view(self._low, self.edges)
            return self._views[0].spectra(parameters)
        if "redshift" not in parameters:
            raise ConfigError("the models' redshift is free: give it among the parameters")
        redshift = np.asarray(parameters["redshift"], np.float64)
        position = (np.log1p(redshift) - np.log1p(self._low)) / _SHIFT
        interval = np.maximum(position, 0.0).astype(np.int64)
        out = np.empty((redshift.size, self.wave.size), np.float32)
        for number in np.unique(interval):
            rows = np.flatnonzero(interval == number)
            chosen = {name: np.asarray(value)[rows] for name, value in parameters.items()}
            out[rows] = self._shifted(int(number), chosen, redshift[rows])
        return out

    def _shifted(self, number: int, parameters: Mapping[str, Floats], redshift: Floats) -> Spectra:
        """Return spectra of models of an interval of redshifts, each at its own."""
        if number not in self._views:
            start = float(np.expm1(np.log1p(self._low) + number * _SHIFT))
            self._views[number] = self._view(start, _fine_edges(self.edges))
        view = self._views[number]
        spectra = view.spectra(parameters)
        stretch = (1 + redshift) / (1 + view.redshift)
        here = luminosity_distance(self._settings, redshift=view.redshift)
        # As a ratio to z, distance is smooth enough for three points of so short an interval.
        nodes = np.expm1(np.log1p(view.redshift) + _SHIFT * np.array([0.0, 0.5, 1.0]))
        ratio = [luminosity_distance(self._settings, redshift=float(z)) / z for z in nodes]
        there = np.polynomial.Polynomial.fit(nodes, ratio, 2)(redshift) * redshift
        scale = (here / there) ** 2 / stretch
        return stretched_means(
            spectra, view.engine.wave_edges, self.edges, stretch=stretch, scale=scale
        )

    def _view(self, redshift: float, edges: Floats) -> _View:
        """Return the engine of a redshift, in given bins of the observed frame."""
        wave = 0.5 * (edges[1:] + edges[:-1])
        # Where the interval's middle redshift puts what is made at its start.
        stretch = 1.0 if edges is self.edges else np.exp(0.5 * _SHIFT)
        pixel = np.interp(wave * stretch, self.wave, np.diff(self.edges)) / np.sqrt(12.0) / stretch
        if edges is not self.edges:
            pixel = np.hypot(pixel, np.diff(edges) / np.sqrt(12.0))
        known = self._lsf is not None
        lsf = np.zeros(wave.size)
        if self._lsf is not None:
            lsf = np.interp(wave * stretch, self.wave, self._lsf) / FWHM_PER_SIGMA / stretch
        stars, gas = (
            total_sigma(
                wave, velocity=self._sigma, lsf_wave=wave, lsf_sigma=lsf,
                library_sigma=np.hypot(own, pixel) if known else 0.0,
            )
            for own in self._library_sigmas(wave, redshift)
        )  # fmt: skip
        engine = SpectrumEngine(
            self._ssp, settings=self._settings, redshift=redshift, frame="observed",
            wave_edges=edges, lsf=(wave, stars), gas_lsf=(wave, gas),
        )  # fmt: skip
        universe = age_of_universe(self._settings, redshift=redshift)
        return _View(engine, redshift, float(np.log10(universe)))

    def _library_sigmas(self, wave: Floats, redshift: float) -> tuple[Floats, Floats]:
        """Return the widths of stars' and gas's lines at observed wavelengths [Angstrom]."""
        rest = wave / (1 + redshift)
        bins = self._bin_width(rest) / np.sqrt(12.0)
        stars = np.hypot(library_fwhm(self._ssp, rest) / FWHM_PER_SIGMA, bins)
        gas = stars if BROAD_GAS in str(self._ssp.attrs.get("source", "")) else bins
        return (1 + redshift) * stars, (1 + redshift) * gas

    def _bin_width(self, rest: Floats) -> Floats:
        """Return the width of the library's bins at rest-frame wavelengths [Angstrom]."""
        edges = self._ssp["wave_edges"].values
        number = np.clip(np.searchsorted(edges, rest, side="right") - 1, 0, edges.size - 2)
        return np.asarray(np.diff(edges)[number])

    def _resolved(self) -> NDArray[np.bool_]:
        """Return where bins of the library are fine enough, and log where its stars are not."""
        wanted = 2 * np.diff(self.edges) if self._lsf is None else self._lsf
        wanted = np.hypot(wanted, FWHM_PER_SIGMA * self._sigma / _C_KM_S * self.wave)
        # A bin of the library may be as wide as a line at either end of the redshifts.
        bins, stars = (
            np.max([(1 + z) * of(self.wave / (1 + z)) for z in (self._low, self._high)], axis=0)
            for of in (self._bin_width, lambda rest: library_fwhm(self._ssp, rest))
        )
        resolved = bins <= wanted
        _say(self.wave, ~resolved, _COARSE_BINS)
        if self._lsf is not None:
            _say(self.wave, resolved & (stars > _COARSER * wanted), _COARSE_STARS)
        return np.asarray(resolved)


def library_fwhm(ssp: xr.Dataset, rest: Floats) -> Floats:
    """Return the full width at half maximum of stars' lines in an SSP product.

    Parameters
    ----------
    ssp : Dataset
        Schema ``ssp/2``.
    rest : (n_wave,) float64
        Rest frame [Angstrom].

    Returns
    -------
    fwhm : (n_wave,) float64
        [Angstrom]; 0 where it is not known, and bins alone tell the resolution.
    """
    found = np.zeros(rest.size)
    for name, ranges in STELLAR_RESOLUTION.items():
        if name in str(ssp.attrs.get("library", "")):
            for low, high, fwhm in ranges:
                found[(rest >= low) & (rest < high)] = fwhm
    return found


def _say(wave: Floats, which: NDArray[np.bool_], what: str) -> None:
    """Log what is true at some wavelengths."""
    if np.any(which):
        first, last = wave[which][[0, -1]]
        share = 100 * np.mean(which)
        logger.info("spectra: at %.0f-%.0f Angstrom (%.0f %%) %s", first, last, share, what)


def bin_edges_of(wave: Floats) -> Floats:
    """Return edges of bins: half way between centres, and as far beyond the outer ones.

    Raises
    ------
    DataError
        If there are fewer than two wavelengths, or they do not increase.
    """
    if wave.size < 2 or not np.all(np.diff(wave) > 0):
        raise DataError(f"{wave.size} wavelengths of spectra; wanted two or more that increase")
    middle = 0.5 * (wave[1:] + wave[:-1])
    first, last = 2 * wave[0] - middle[0], 2 * wave[-1] - middle[-1]
    return np.concatenate([[first], middle, [last]])


def _known(wave: Floats, lsf_fwhm: Floats | None) -> Floats | None:
    """Return widths at all wavelengths, or None where no width is known."""
    if lsf_fwhm is None:
        return None
    fwhm = np.asarray(lsf_fwhm, np.float64)
    good = np.isfinite(fwhm) & (fwhm > 0)
    return np.interp(wave, wave[good], fwhm[good]) if np.any(good) else None


def _fine_edges(edges: Floats) -> Floats:
    """Return edges of equal ratio, finer than given ones, for shifts up to `_SHIFT`."""
    step = float(np.min(np.diff(np.log(edges)))) / _PER_STEP
    low, high = np.log(edges[0]) - 1.1 * _SHIFT, np.log(edges[-1])
    return np.asarray(np.exp(np.arange(low - step, high + 2 * step, step)))
