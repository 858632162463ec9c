"""Mock SEDs of galaxies whose stars are of many ages and metallicities, with known truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.constants import LSUN_ERG_S, MPC_CM
from pxdask.core.cosmology import luminosity_distance
from pxdask.core.errors import DataError
from pxdask.fitting.seds import Seds
from pxdask.kernels.assembly import summarise
from pxdask.kernels.dust import LAWS, birth_cloud, relative_depth
from pxdask.kernels.sfh import age_quadrature
from pxdask.kernels.smoothing import broadening, total_sigma
from pxdask.sps.columns import band_weights, igm_transmission
from pxdask.sps.parameters import fixed_parameters
from pxdask.sps.populations import populations

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr
    from numpy.typing import NDArray

    from pxdask.core.bandpass import Filter
    from pxdask.core.models import ModelConfig
    from pxdask.simulate.stochastic import Assembly
    from pxdask.sps.populations import Populations

    Floats = NDArray[np.float64]

METAL_SPREAD = 0.2
"""Standard deviation of metallicities in a galaxy at one time [dex]; in discs of the Milky Way's
kind 0.15 to 0.25 at any age (Casagrande et al. 2011, A&A 530, A138, figure 16)."""

SPANS = (50, 100, 1000)
"""Intervals that end now, of which mean star formation rates are kept [Myr]."""

LOOKBACKS = (30, 50, 70, 90)
"""Percentages of the mass formed whose lookback times are kept."""

_FWHM_PER_SIGMA = 2.3548200450309493
_SPECTRUM_UNIT = 1e-17
"""Of spectra [erg s-1 cm-2 Angstrom-1]."""


@dataclass(frozen=True, eq=False)
class MockSeds:
    """Noiseless SEDs and what they are made of.

    Attributes
    ----------
    flux : (n_galaxy, n_band) float64
        [uJy].
    truth : dict of (n_galaxy,) float64
        Under the names that fits report: ``log_mass`` (surviving), ``log_sfr_50myr`` and
        those of the other `SPANS`, ``log_mw_age`` (by mass formed), ``logzsol`` (log10 of the
        mean metallicity, by mass formed), the dust's parameters, and the `LOOKBACKS`,
        ``lookback_30`` and so on.
    wave, lsf_fwhm : (n_wave,) float64, optional
        Of the spectra [Angstrom, vacuum, observed frame].
    spectrum : (n_galaxy, n_wave) float64, optional
        [1e-17 erg s-1 cm-2 Angstrom-1].
    """

    flux: Floats
    truth: Mapping[str, Floats]
    wave: Floats | None = None
    lsf_fwhm: Floats | None = None
    spectrum: Floats | None = None

    def observe(self, *, snr: float, rng: np.random.Generator) -> Seds:
        """Return SEDs with Gaussian noise.

        Parameters
        ----------
        snr : float
            Ratio of the noiseless flux and its error, in every band and wavelength; errors
            given are the true ones.
        rng : numpy.random.Generator
            Of the noise.

        Returns
        -------
        seds : Seds
        """
        if not snr > 0:
            raise DataError(f"S/N is {snr}; wanted a positive number")
        keys = tuple(("mock", i) for i in range(self.flux.shape[0]))
        flux_err = self.flux / snr
        flux = self.flux + flux_err * rng.normal(size=self.flux.shape)
        if self.spectrum is None:
            return Seds(flux, flux_err, keys)
        spectrum_err = self.spectrum / snr
        noise = spectrum_err * rng.normal(size=self.spectrum.shape)
        return Seds(
            flux,
            flux_err,
            keys,
            wave=self.wave,
            lsf_fwhm=self.lsf_fwhm,
            spectrum=self.spectrum + noise,
            spectrum_err=spectrum_err,
        )


@dataclass(frozen=True, eq=False)
class Spectrograph:
    """What a spectrograph sees.

    Attributes
    ----------
    wave_edges : (n_wave + 1,) float64
        Edges of its pixels [Angstrom, vacuum, observed frame].
    resolving_power : float
        Wavelength over the full width at half maximum of a line.
    """

    wave_edges: Floats
    resolving_power: float

    @property
    def wave(self) -> Floats:
        """Centres of its pixels, (n_wave,) [Angstrom]."""
        centres: Floats = (self.wave_edges[1:] + self.wave_edges[:-1]) / 2
        return centres

    @property
    def lsf_fwhm(self) -> Floats:
        """Full width at half maximum of a line, (n_wave,) [Angstrom]."""
        return self.wave / self.resolving_power


def manga_like(*, n_wave: int = 1140) -> Spectrograph:
    """Return a spectrograph like MaNGA's: 3622 to 10354 Angstrom, even in ln(wave), R = 2000.

    Parameters
    ----------
    n_wave : int
        Pixels; MaNGA has 4563 (Law et al. 2016, AJ 152, 83), one in four of which stands for
        a resolution element.
    """
    return Spectrograph(np.geomspace(3621.6, 10353.8, n_wave + 1), 2000.0)


def mock_seds(
    assembly: Assembly,
    ssp: xr.Dataset,
    filters: Sequence[Filter],
    *,
    log_mass: Floats,
    dust: Mapping[str, Floats],
    redshift: float,
    settings: ModelConfig,
    spectrograph: Spectrograph | None = None,
    metal_spread: float = METAL_SPREAD,
) -> MockSeds:
    """Return SEDs of galaxies as sums of simple stellar populations.

    Parameters
    ----------
    assembly : Assembly
        When their stars formed, and of what metallicity.
    ssp : Dataset
        Schema ``ssp/2``.
    filters : sequence of Filter
        Bands.
    log_mass : (n_galaxy,) float64
        log10 of the surviving mass [Msun].
    dust : mapping of (n_galaxy,) float64
        The attenuation law's parameters: ``dust2``, and ``dust1``, ``dust_index``,
        ``dust_bump`` where the law has them.
    redshift : float
        > 0.
    settings : ModelConfig
        Attenuation law, nebulae (of the stars' own metallicity), intergalactic absorption,
        cosmology; its form of star formation and its priors play no part.
    spectrograph : Spectrograph, optional
        For spectra; default: none are made.
    metal_spread : float
        Standard deviation of the metallicities of stars formed at one time [dex].

    Returns
    -------
    mocks : MockSeds

    Raises
    ------
    ConfigError
        If a filter sees wavelengths that the populations do not cover.
    DataError
        If the redshift is not positive, or a mass is missing.

    Notes
    -----
    Sums over all ages and metallicities of full spectra, with none of the approximations of
    `pxdask.sps.PhotometryEngine`: photometry is the sum of its bands' weights over the whole
    spectrum. A star's metallicity is spread by ``metal_spread`` about its time's median, and
    its light is linear between the populations' log Z.
    """
    if log_mass.shape != (assembly.formed.shape[0],):
        raise DataError(f"{log_mass.shape} masses of {assembly.formed.shape[0]} galaxies")
    stars = populations(ssp, settings)
    quadrature = age_quadrature(stars.log_age, bin_edges=assembly.edges)
    shares, mean_z = _metals(assembly.logzsol, stars.log_z, metal_spread)
    weights = np.einsum(
        "gbm,ba->gma",
        assembly.formed[:, :, None] * shares,
        quadrature.bin_weights,
        optimize=True,
    )
    surviving = np.einsum("gma,ma->g", weights, stars.surviving)
    formed = 10**log_mass / surviving
    spectra = _attenuated(weights * formed[:, None, None], stars, dust, settings)
    summary = summarise(
        "piecewise",
        np.full(log_mass.size, assembly.edges[-1]),
        assembly.formed,
        quadrature=quadrature,
        spans=[span / 1000 for span in SPANS],
        fractions=[percent / 100 for percent in LOOKBACKS],
    )
    truth = {
        "log_mass": log_mass,
        **{
            f"log_sfr_{span}myr": np.log10(formed * summary.recent[:, i] / (span * 1e6))
            for i, span in enumerate(SPANS)
        },
        "log_mw_age": np.log10(summary.mean_age),
        "logzsol": np.log10(np.sum(assembly.formed * mean_z, axis=1)),
        **dust,
        **{f"lookback_{p}": summary.lookback[:, i] for i, p in enumerate(LOOKBACKS)},
    }
    flux = spectra @ band_weights(stars, filters, settings, redshift=redshift).T
    if spectrograph is None:
        return MockSeds(flux, truth)
    seen = _seen(spectra, stars, spectrograph, settings, redshift)
    return MockSeds(flux, truth, spectrograph.wave, spectrograph.lsf_fwhm, seen)


def _metals(logzsol: Floats, log_z: Floats, spread: float) -> tuple[Floats, Floats]:
    """Return shares of the populations' metallicities, and mean metallicities.

    Returns
    -------
    shares : (..., n_met)
        Linear in log Z between nodes; stars beyond the last have its metallicity.
    mean_z : (...)
        In solar units, of the stars as they are after that.
    """
    point, weight = np.polynomial.hermite_e.hermegauss(7)
    weight = weight / np.sum(weight)
    shares = np.zeros((*logzsol.shape, log_z.size))
    mean_z = np.zeros(logzsol.shape)
    for node, part in zip(point, weight, strict=True):
        value = np.clip(logzsol + spread * node, log_z[0], log_z[-1])
        mean_z += part * 10**value
        low = np.clip(np.searchsorted(log_z, value) - 1, 0, log_z.size - 2)
        share = (value - log_z[low]) / (log_z[low + 1] - log_z[low])
        for index, amount in ((low, part * (1 - share)), (low + 1, part * share)):
            old = np.take_along_axis(shares, index[..., None], axis=-1)
            np.put_along_axis(shares, index[..., None], old + amount[..., None], axis=-1)
    return shares, mean_z


def _attenuated(
    mass: Floats, stars: Populations, dust: Mapping[str, Floats], settings: ModelConfig
) -> Floats:
    """Return spectra (n_galaxy, n_wave) of stars and gas behind dust [Lsun Angstrom-1]."""
    lit = _lit(stars, settings)
    n_galaxy, n_birth = mass.shape[0], stars.n_birth
    parts = (
        mass[:, :, ages].reshape(n_galaxy, -1) @ lit[:, ages].reshape(-1, stars.wave.size)
        for ages in (slice(n_birth), slice(n_birth, None))
    )
    young, old = parts
    if settings.dust == "charlot_fall":
        young *= np.exp(-dust["dust1"][:, None] * birth_cloud(stars.wave))
    nothing = np.zeros(n_galaxy)
    depth = relative_depth(
        LAWS[settings.dust],
        stars.wave,
        index=dust.get("dust_index", nothing)[:, None],
        bump=dust.get("dust_bump", nothing)[:, None],
    )
    spectra: Floats = (young + old) * np.exp(-dust["dust2"][:, None] * depth)
    return spectra


def _lit(stars: Populations, settings: ModelConfig) -> Floats:
    """Return spectra (n_met, n_age, n_wave) of stars with their nebulae, per mass formed."""
    lit = stars.stars.astype(np.float64)
    if not settings.nebular:
        return lit
    log_u = fixed_parameters(settings).get("gas_logu", -3.0)
    levels = stars.nebular.shape[0]
    u = np.interp(log_u, stars.log_u, np.arange(stars.log_u.size)) if levels > 1 else 0.0
    grid = _between(stars.nebular.astype(np.float64), u)
    for met, log_z in enumerate(stars.log_z):
        z = np.interp(log_z, stars.log_zgas, np.arange(stars.log_zgas.size))
        gas = _between(grid, float(z))
        for age, (node, share) in enumerate(zip(stars.young, stars.young_share, strict=True)):
            glow = _between(gas, float(node + share))
            lit[met, age] += stars.ionising[met, age] * glow
    return lit


def _between(rows: Floats, position: float) -> Floats:
    """Return what lies at a position among rows, linear between them."""
    low = min(int(position), max(rows.shape[0] - 2, 0))
    high = min(low + 1, rows.shape[0] - 1)
    share = position - low
    mixed: Floats = rows[low] * (1 - share) + rows[high] * share
    return mixed


def _seen(
    spectra: Floats,
    stars: Populations,
    spectrograph: Spectrograph,
    settings: ModelConfig,
    redshift: float,
) -> Floats:
    """Return observed spectra (n_galaxy, n_pixel) [1e-17 erg s-1 cm-2 Angstrom-1]."""
    wave = spectrograph.wave
    sigma = total_sigma(
        wave, velocity=0.0, lsf_wave=wave, lsf_sigma=spectrograph.lsf_fwhm / _FWHM_PER_SIGMA
    )
    edges = stars.wave_edges * (1 + redshift)
    absorbed = spectra * igm_transmission(settings, stars.wave, redshift=redshift)
    distance = luminosity_distance(settings, redshift=redshift) * MPC_CM
    scale = LSUN_ERG_S / (4 * np.pi * distance**2 * (1 + redshift)) / _SPECTRUM_UNIT
    seen: Floats = absorbed @ broadening(edges, spectrograph.wave_edges, sigma).T * scale
    return seen
