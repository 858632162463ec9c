"""Settings of SED fitting, whatever the method and the data."""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt, model_validator

from pxdask.core.settings import TEXT, Settings, setting


class RefineConfig(Settings):
    """More models where the posterior is, for SEDs that a library is too sparse for."""

    min_n_eff: float = setting(
        0.0, unit=TEXT, about="effective number of models to reach; 0: no refinement", ge=0
    )
    n_models: PositiveInt = setting(20000, unit=TEXT, about="models drawn in each round")
    max_rounds: PositiveInt = setting(5, unit=TEXT, about="rounds at most")


class McmcConfig(Settings):
    """Affine-invariant ensemble sampling (Goodman & Weare 2010; emcee)."""

    n_walkers: int = setting(100, unit=TEXT, about="walkers of each SED, even", ge=8)
    max_steps: PositiveInt = setting(
        3000, unit=TEXT, about="steps at most, those of adaptation and burn-in included"
    )
    check_every: PositiveInt = setting(100, unit=TEXT, about="steps between tests of convergence")
    min_taus: float = setting(
        30.0, unit=TEXT, about="autocorrelation times that a converged chain is long", gt=0
    )
    max_rhat: float = setting(1.03, unit=TEXT, about="largest split R-hat of a converged chain")
    step_scale: float = setting(2.0, unit=TEXT, about="a of the stretch move", gt=1)
    n_components: int = setting(
        32,
        unit=TEXT,
        about="Gaussians of the mixture that every second step is drawn from; 0: no such steps",
        ge=0,
    )
    adapt_steps: PositiveInt = setting(
        1000,
        unit=TEXT,
        about="steps' worth of draws by which the mixture is learnt first; half of all at most",
    )
    keep_chains: bool = setting(
        default=False,
        unit=TEXT,
        about="keep samples as chains, of every walker the same steps; default: pooled",
    )

    @model_validator(mode="after")
    def _even(self) -> McmcConfig:
        if self.n_walkers % 2:
            raise ValueError(f"n_walkers is {self.n_walkers}; it must be even")
        return self


class NestedConfig(Settings):
    """Nested sampling, for evidences."""

    sampler: Literal["nautilus", "dynesty"] = setting("nautilus", unit=TEXT, about="package")
    n_live: PositiveInt = setting(1000, unit=TEXT, about="live points")
    max_calls: PositiveInt = setting(1_000_000, unit=TEXT, about="likelihoods at most")


class NpeConfig(Settings):
    """Neural posterior estimation: a network is trained once and answers for every SED."""

    network: str | None = setting(
        None, unit=TEXT, about="trained network, by `pxdask npe train`; default: a run trains one"
    )
    density: Literal["mixture", "autoregressive"] = setting(
        "autoregressive", unit=TEXT, about="form of the posterior: Gaussians, or one by one"
    )
    n_mocks: PositiveInt = setting(32_000_000, unit=TEXT, about="mock SEDs of the training, in all")
    pass_size: PositiveInt = setting(
        500_000,
        unit=TEXT,
        about="mocks made and learnt at a time; 3 kB of memory each, of 19 bands",
    )
    redshift: tuple[float, float] | None = setting(
        None, unit=TEXT, about="ends of the redshifts; default: those of the catalogue"
    )
    noise: str | None = setting(
        None, unit=TEXT, about="noise model, by `pxdask npe noise`; default: wide, for any survey"
    )
    snr: tuple[float, float] = setting(
        (1.0, 200.0), unit=TEXT, about="S/N of mocks in their best band, even in the logarithm"
    )
    missing: float = setting(
        0.3, unit=TEXT, about="part of the mocks that lose some bands at random", ge=0, le=1
    )
    n_members: PositiveInt = setting(1, unit=TEXT, about="networks of the ensemble")
    hidden: PositiveInt = setting(128, unit=TEXT, about="width of the layers")
    n_layers: PositiveInt = setting(8, unit=TEXT, about="layers that all targets share")
    head: PositiveInt = setting(
        96, unit=TEXT, about="width of each target's own layer; of autoregressive ones only"
    )
    n_components: PositiveInt = setting(8, unit=TEXT, about="Gaussians of each mixture")
    batch_size: PositiveInt = setting(512, unit=TEXT, about="mocks of a step")
    learning_rate: float = setting(5e-3, unit=TEXT, about="greatest learning rate", gt=0)
    max_epochs: PositiveInt = setting(
        1, unit=TEXT, about="times that each mock is learnt from, at most; of 1e5 mocks some 8"
    )
    patience: PositiveInt = setting(
        5, unit=TEXT, about="passes without a gain that end a training whose mocks come again"
    )
    n_draws: PositiveInt = setting(500, unit=TEXT, about="draws of each SED, in one round")
    reweight: bool = setting(
        default=True, unit=TEXT, about="weigh draws by the exact likelihood over the network's"
    )
    min_n_eff: float = setting(
        300.0, unit=TEXT, about="effective draws that end the rounds of re-weighting", gt=0
    )
    max_rounds: PositiveInt = setting(4, unit=TEXT, about="rounds of draws at most")
    min_efficiency: float = setting(
        0.01, unit=TEXT, about="effective part of draws below which an SED is handed over", ge=0
    )
    hand_over: Literal["rdsps", "mcmc", "none"] = setting(
        "rdsps", unit=TEXT, about="method for SEDs that the network is not to be believed of"
    )
    false_alarms: float = setting(
        0.05, unit=TEXT, about="part of good SEDs that may be called outliers", gt=0, lt=1
    )


class SpectrumConfig(Settings):
    """How a spectrum counts beside photometry, or alone."""

    use: Literal["both", "photometry", "spectrum"] = setting(
        "both", unit=TEXT, about="data that are fitted; `spectrum` leaves SEDs without one unfitted"
    )
    weight: float = setting(
        1.0, unit=TEXT, about="factor on the spectrum's ln likelihood; photometry's is 1", gt=0
    )
    polynomial_order: int | None = setting(
        3,
        unit=TEXT,
        about="Legendre order of the factor between model and spectrum; null: none, one scale",
        ge=0,
        le=30,
    )
    wave_ranges: tuple[tuple[float, float], ...] = setting(
        (), unit="Angstrom", about="rest-frame ranges that are fitted; default: all"
    )
    mask_lines: bool = setting(
        default=True, unit=TEXT, about="leave out the neighbourhood of emission lines"
    )
    line_half_width: float = setting(
        10.0, unit="Angstrom", about="rest-frame half-width of what is left out at a line", gt=0
    )
    clip_sigma: float = setting(
        3.0, unit=TEXT, about="residual beyond which a wavelength is dropped; 0: none is", ge=0
    )
    clip_rounds: PositiveInt = setting(2, unit=TEXT, about="rounds of clipping")
    sigma: float = setting(
        0.0, unit="km / s", about="velocity dispersion of the models, besides the LSF", ge=0
    )


class FitConfig(Settings):
    """How SEDs are fitted: the likelihood, and the method that explores it."""

    method: Literal["rdsps", "mcmc", "nested", "npe"] = setting("rdsps", unit=TEXT, about="method")
    likelihood: Literal["gaussian", "student_t"] = setting(
        "gaussian", unit=TEXT, about="form of the likelihood"
    )
    dof: float = setting(2.0, unit=TEXT, about="degrees of freedom of Student's t", gt=0)
    systematic_error: float = setting(
        0.05, unit=TEXT, about="error added in quadrature, as a fraction of flux", ge=0
    )
    systematic_sigma: float = setting(
        0.0, unit=TEXT, about="error added in quadrature, as a fraction of the error itself", ge=0
    )
    limits_below: float | None = setting(
        None,
        unit=TEXT,
        about="S/N below which a flux is an upper limit; default: only those marked as such",
    )
    limit_sigma: float = setting(
        3.0, unit=TEXT, about="an upper limit made of a faint flux is this many errors", gt=0
    )
    n_samples: int = setting(0, unit=TEXT, about="posterior samples kept of each SED", ge=0)
    integrated: bool = setting(
        default=False,
        unit=TEXT,
        about="fit each galaxy's whole light too, beside the sum over its bins; of surveys only",
    )
    block_size: PositiveInt = setting(64, unit=TEXT, about="SEDs fitted by one task")
    max_memory: float = setting(2.0, unit="GB", about="memory a fit may take", gt=0)
    refine: RefineConfig = setting(RefineConfig(), unit=TEXT, about="adaptive refinement")
    mcmc: McmcConfig = setting(McmcConfig(), unit=TEXT, about="MCMC")
    nested: NestedConfig = setting(NestedConfig(), unit=TEXT, about="nested sampling")
    npe: NpeConfig = setting(NpeConfig(), unit=TEXT, about="neural posterior estimation")
    spectrum: SpectrumConfig = setting(SpectrumConfig(), unit=TEXT, about="spectra")

    @model_validator(mode="after")
    def _chains(self) -> FitConfig:
        if self.mcmc.keep_chains and self.method != "mcmc":
            raise ValueError(f"mcmc.keep_chains goes with method mcmc, not {self.method}")
        if self.mcmc.keep_chains and (self.n_samples == 0 or self.n_samples % self.mcmc.n_walkers):
            raise ValueError(
                f"n_samples is {self.n_samples}; mcmc.keep_chains wants a multiple of"
                f" mcmc.n_walkers, {self.mcmc.n_walkers}"
            )
        return self


class MapConfig(Settings):
    """How results of bins become maps of pixels."""

    mass_band: str | None = setting(
        None, unit=TEXT, about="band whose light shares mass among pixels; default: the reddest"
    )
    sfr_band: str | None = setting(
        None, unit=TEXT, about="band whose light shares SFR among pixels; default: the bluest"
    )
    inclination: bool = setting(
        default=False,
        unit=TEXT,
        about="divide surface densities by the projection of an inclined disc",
    )
    axis_ratio: float | str = setting(
        "axis_ratio", unit=TEXT, about="minor over major axis of the disc, or its column"
    )
    thickness: float = setting(
        0.13, unit=TEXT, about="axis ratio of a disc seen edge-on", ge=0, lt=1
    )

    @model_validator(mode="after")
    def _ratio(self) -> MapConfig:
        if not isinstance(self.axis_ratio, str) and not 0 < self.axis_ratio <= 1:
            raise ValueError(f"axis_ratio is {self.axis_ratio}; wanted above 0 and at most 1")
        return self
