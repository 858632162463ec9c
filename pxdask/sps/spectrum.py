"""Full spectra of composite stellar populations, whole or in components."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from pxdask.core.constants import LSUN_ERG_S, MPC_CM
from pxdask.core.cosmology import age_of_universe, luminosity_distance
from pxdask.core.errors import ConfigError
from pxdask.kernels.composite import composite_fluxes
from pxdask.kernels.composite_spectra import (
    dim_spectra,
    dust_spectra,
    fill_transmissions,
    nebular_weights,
    torus_spectra,
)
from pxdask.kernels.dust import LAWS, REFERENCE_WAVE, birth_cloud
from pxdask.kernels.history import SFH_KINDS
from pxdask.kernels.ingredients import Columns, CompositeModels
from pxdask.kernels.sfh import age_quadrature, age_weights
from pxdask.kernels.smoothing import broadening, total_sigma
from pxdask.sps.columns import igm_transmission, make_columns
from pxdask.sps.histories import bin_edges
from pxdask.sps.inputs import Inputs
from pxdask.sps.parameters import free_parameters
from pxdask.sps.populations import populations

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import xarray as xr
    from numpy.typing import NDArray

    from pxdask.core.models import ModelConfig
    from pxdask.sps.populations import Populations

    Floats = NDArray[np.float64]
    Spectra = NDArray[np.float32]

BLOCK = 64
"""Models whose spectra are made at a time; a spectrum in a block of other models may differ in
the last bit, as sums of matrix products do."""

_TODAY = 1e-5
"""Redshift at which models without a redshift are observed [1]."""


class SpectrumEngine:
    """From parameters to spectra.

    Parameters
    ----------
    ssp : Dataset
        Schema ``ssp/2``.
    settings : ModelConfig
        Ingredients.
    redshift : float, optional
        > 0; no model is older than the universe then. Default: today.
    frame : {"rest", "observed"}
        "rest": luminosity per wavelength [Lsun Angstrom-1 Msun-1]. "observed": flux per
        wavelength [erg s-1 cm-2 Angstrom-1 Msun-1] at the redshift, absorbed by the
        intergalactic medium. Both per solar mass formed.
    wave_edges : (n_wave + 1,) float64, optional
        Edges of the wavelength bins wanted, in the frame [Angstrom]; default: all bins of
        the product.
    velocity : float
        Velocity dispersion of the galaxy [km s-1].
    lsf : (wave, sigma), optional
        Line spread function of an instrument: standard deviation at some observed
        wavelengths, linear between [Angstrom].
    gas_lsf : (wave, sigma), optional
        The same for the light of gas, whose lines have less width of their own in the product
        than those of stars. Default: ``lsf``.

    Raises
    ------
    ConfigError
        If the frame is "observed" without a redshift, or the bins are not covered.
    DataError
        If the redshift is not positive.
    SchemaError
        If ``ssp`` is not of its schema.

    Attributes
    ----------
    wave, wave_edges : (n_wave,), (n_wave + 1,) float64
        Centres and edges of the bins, vacuum, in the frame [Angstrom].
    parameters : tuple of str
        Names of the free parameters.

    Notes
    -----
    Smoothing is linear: the populations are smoothed once, here. Attenuation is then applied
    to smoothed spectra, which it varies slowly against.
    """

    def __init__(
        self,
        ssp: xr.Dataset,
        *,
        settings: ModelConfig,
        redshift: float | None = None,
        frame: Literal["rest", "observed"] = "rest",
        wave_edges: Floats | None = None,
        velocity: float = 0.0,
        lsf: tuple[Floats, Floats] | None = None,
        gas_lsf: tuple[Floats, Floats] | None = None,
    ) -> None:
        if frame == "observed" and redshift is None:
            raise ConfigError("spectra in the observed frame need a redshift; got None")
        universe = age_of_universe(settings, redshift=redshift or _TODAY)
        self.parameters = tuple(n for n in free_parameters(settings) if n != "redshift")
        self._settings = settings
        self._stars = stars = populations(ssp, settings)
        self._inputs = Inputs(settings, stars, universe)
        self._quadrature = age_quadrature(
            stars.log_age, bin_edges=bin_edges(settings, universe=universe)
        )
        stretch = 1 + redshift if frame == "observed" and redshift else 1.0
        native = wave_edges is None and velocity == 0 and lsf is None
        given = None if wave_edges is None else np.asarray(wave_edges, dtype=np.float64)
        self.wave_edges = stars.wave_edges * stretch if given is None else given
        self.wave = stars.wave * stretch if given is None else _centres(given)
        view: Callable[[Spectra], Spectra] = _same
        gas_view = view
        if not native:
            edges = stars.wave_edges * stretch
            view = gas_view = _broadened(edges, self.wave_edges, velocity, lsf)
            if gas_lsf is not None:
                gas_view = _broadened(edges, self.wave_edges, velocity, gas_lsf)
        self._scale = np.ones(self.wave.size)
        if frame == "observed" and redshift is not None:
            distance = luminosity_distance(settings, redshift=redshift) * MPC_CM
            absorbed = igm_transmission(settings, stars.wave, redshift=redshift)
            seen = view(absorbed.astype(np.float32)).astype(np.float64)
            self._scale = seen * LSUN_ERG_S / (4 * np.pi * distance**2 * stretch)
        self._columns = _spectral_columns(stars, settings, self.wave / stretch, view, gas_view)
        # bins that leave wavelengths out do not tell the energy that dust absorbs
        self._widths = np.diff(stars.wave_edges) if native else np.empty(0)
        self._energy_columns = make_columns(
            stars, np.empty((0, stars.wave.size)), settings, energy=not native
        )

    def spectrum(self, parameters: Mapping[str, Floats]) -> Spectra:
        """Return spectra.

        Parameters
        ----------
        parameters : mapping
            One array (n_model,) for each of ``self.parameters``.

        Returns
        -------
        spectrum : (n_model, n_wave) float32
            Means over the bins; for units see the class.

        Raises
        ------
        ConfigError
            Naming every parameter that is missing, unknown or out of range.
        """
        kind, models = self._inputs.models(parameters)
        out = np.empty((models.age.size, self.wave.size), dtype=np.float32)
        for start in range(0, models.age.size, BLOCK):
            block = slice(start, start + BLOCK)
            parts = self._parts(kind, _rows(models, block), together=True)
            whole = parts.pop("stellar")
            for part in parts.values():
                whole += part
            np.multiply(whole, self._scale, out=out[block], casting="same_kind")
        return out

    def components(self, parameters: Mapping[str, Floats]) -> dict[str, Spectra]:
        """Return spectra of what shines, each behind the dust in front of it.

        Parameters
        ----------
        parameters : mapping
            As for `spectrum`; the same errors.

        Returns
        -------
        components : dict of (n_model, n_wave) float32
            "stellar"; "nebular", "dust", "agn" where the models have them. Their sum is
            the spectrum.
        """
        kind, models = self._inputs.models(parameters)
        n_model = models.age.size
        found: dict[str, Spectra] = {}
        for start in range(0, n_model, BLOCK):
            block = slice(start, start + BLOCK)
            parts = self._parts(kind, _rows(models, block), together=False)
            for name, part in parts.items():
                whole = found.setdefault(name, np.empty((n_model, self.wave.size), np.float32))
                whole[block] = part * self._scale
        return found

    def _parts(self, kind: str, models: CompositeModels, *, together: bool) -> dict[str, Spectra]:
        """Return components; with nebulae counted as "stellar" if ``together``."""
        columns = self._columns
        weights = age_weights(kind, models.age, models.shape, quadrature=self._quadrature)
        lit = {"stellar": _starlight(weights, models.metallicity, columns)}
        if columns.nebular.shape[0] > 0:
            lit["nebular"] = _gaslight(models, weights, columns)
        if together and len(lit) > 1:
            young, old = lit["stellar"]
            young += lit["nebular"][0]
            old += lit.pop("nebular")[1]
        found = {}
        transmission = np.empty_like(lit["stellar"][1])
        fill_transmissions(models, columns, transmission)
        energy = np.zeros((models.age.size, 3))
        for name, light in lit.items():
            found[name] = np.empty_like(light[1])
            dim_spectra(models, columns, transmission, *light, found[name])
            if columns.dust.shape[0] > 0 and self._widths.size > 0:
                energy[:, 0] += (light[0] + light[1] - found[name]) @ self._widths
        if columns.dust.shape[0] > 0:
            if self._widths.size == 0:
                energy = self._energy(kind, models)
            found["dust"] = np.empty_like(transmission)
            dust_spectra(models, columns, transmission, self._widths, energy, found["dust"])
        if columns.torus.shape[0] > 0:
            found["agn"] = np.empty_like(transmission)
            torus_spectra(models, weights, columns, transmission, found["agn"])
        return found

    def _energy(self, kind: str, models: CompositeModels) -> Floats:
        """Return the energies of `composite_fluxes`, for bins that leave wavelengths out."""
        energy = np.empty((models.age.size, 3))
        nothing = np.empty((models.age.size, 0), dtype=np.float32)
        columns = self._energy_columns
        composite_fluxes(SFH_KINDS[kind], models, self._quadrature, columns, nothing, energy)
        return energy


def _centres(edges: Floats) -> Floats:
    """Return the middles of bins."""
    return (edges[1:] + edges[:-1]) / 2


def _same(spectra: Spectra) -> Spectra:
    """Return spectra as they are."""
    return spectra


def _broadened(
    edges: Floats, wanted: Floats, velocity: float, lsf: tuple[Floats, Floats] | None
) -> Callable[[Spectra], Spectra]:
    """Return the function that smooths spectra and puts them into other bins."""
    wave = _centres(wanted)
    lsf_wave, lsf_sigma = (np.asarray(part, np.float64) for part in lsf or (wave, 0 * wave))
    sigma = total_sigma(wave, velocity=velocity, lsf_wave=lsf_wave, lsf_sigma=lsf_sigma)
    matrix = broadening(edges, wanted, sigma).T.astype(np.float32)

    def view(spectra: Spectra) -> Spectra:
        rows = spectra.reshape(-1, spectra.shape[-1]) @ matrix
        return np.ascontiguousarray(rows).reshape(*spectra.shape[:-1], wave.size)

    return view


def _spectral_columns(
    stars: Populations,
    settings: ModelConfig,
    wave: Floats,
    view: Callable[[Spectra], Spectra],
    gas_view: Callable[[Spectra], Spectra],
) -> Columns:
    """Return columns of one wavelength each, gas apart from stars."""
    law = LAWS[settings.dust]
    return Columns(
        stars=view(stars.stars),
        nebular=gas_view(stars.nebular),
        ionising=stars.ionising,
        young=stars.young,
        young_share=stars.young_share,
        n_birth=stars.n_birth if settings.dust == "charlot_fall" else 0,
        luminosity=stars.luminosity,
        dust=view(stars.dust),
        dust_power=stars.dust_power,
        dust_unseen=np.zeros_like(stars.dust_power),
        torus=view(stars.torus),
        base=law.base(wave).astype(np.float32),
        bump=law.bump(wave).astype(np.float32),
        ln_wave=np.log(wave / REFERENCE_WAVE).astype(np.float32),
        birth=birth_cloud(wave).astype(np.float32),
        first=np.arange(wave.size + 1),
    )


def _starlight(weights: Floats, metallicity: Floats, columns: Columns) -> tuple[Spectra, Spectra]:
    """Return spectra of the stars in birth clouds and of all others, (n_model, n_wave) each."""
    n_met, n_age, n_wave = columns.stars.shape
    n_birth = columns.n_birth
    young = np.zeros((weights.shape[0], n_wave), dtype=np.float32)
    old = np.zeros_like(young)
    low = np.minimum(metallicity.astype(np.int64), max(n_met - 2, 0))
    for first in np.unique(low):
        rows = np.flatnonzero(low == first)
        share = (metallicity[rows] - first)[:, None]
        for met, part in ((first, 1 - share), (min(first + 1, n_met - 1), share)):
            of_met = (weights[rows] * part).astype(np.float32)
            if n_birth:
                young[rows] += of_met[:, :n_birth] @ columns.stars[met, :n_birth]
            old[rows] += of_met[:, n_birth:n_age] @ columns.stars[met, n_birth:]
    return young, old


def _gaslight(
    models: CompositeModels, weights: Floats, columns: Columns
) -> tuple[Spectra, Spectra]:
    """Return spectra of the gas in birth clouds and of all other, (n_model, n_wave) each."""
    shape = (models.age.size, *columns.nebular.shape[:3])
    spectra = columns.nebular.reshape(-1, columns.nebular.shape[-1])
    young, old = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    nebular_weights(models, weights, columns, young, old)
    young, old = young.reshape(shape[0], -1), old.reshape(shape[0], -1)
    if columns.n_birth == 0:
        return np.zeros((shape[0], spectra.shape[1]), np.float32), old @ spectra
    return young @ spectra, old @ spectra


def _rows(models: CompositeModels, block: slice) -> CompositeModels:
    """Return some of the models."""
    return CompositeModels(*(values[block] for values in models))
