"""Settings of the stellar population models, and the priors they are drawn from."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, PositiveInt, Tag, model_validator

from pxdask.core.settings import TEXT, Settings, setting

OWN = "the parameter's"
"""Unit of settings that are values of the parameter they are about."""


class _Range(Settings):
    """Ends of a parameter's values; where absent, those of the registry."""

    low: float | None = setting(None, unit=OWN, about="lower end; default: the registry's")
    high: float | None = setting(None, unit=OWN, about="upper end; default: the registry's")

    @model_validator(mode="after")
    def _ordered(self) -> _Range:
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise ValueError(f"low = {self.low} must be below high = {self.high}")
        return self


class UniformPrior(_Range):
    """Equal density between two values."""

    kind: Literal["uniform"] = setting("uniform", unit=TEXT, about="form of the prior")


class GaussianPrior(_Range):
    """A Gaussian, cut at the ends."""

    kind: Literal["gaussian"] = setting(unit=TEXT, about="form of the prior")
    mean: float = setting(unit=OWN, about="mean before the cut")
    sigma: float = setting(unit=OWN, about="standard deviation before the cut", gt=0)


class StudentTPrior(_Range):
    """Student's t distribution, cut at the ends."""

    kind: Literal["student_t"] = setting(unit=TEXT, about="form of the prior")
    mean: float = setting(unit=OWN, about="centre")
    scale: float = setting(unit=OWN, about="width", gt=0)
    dof: float = setting(2.0, unit=TEXT, about="degrees of freedom", gt=0)


class GammaPrior(_Range):
    """A gamma distribution that starts at ``start``, cut at the ends."""

    kind: Literal["gamma"] = setting(unit=TEXT, about="form of the prior")
    shape: float = setting(unit=TEXT, about="shape parameter", gt=0)
    scale: float = setting(unit=OWN, about="scale", gt=0)
    start: float = setting(0.0, unit=OWN, about="value where the distribution starts")


class TablePrior(_Range):
    """A density given at some values, linear between them, zero outside."""

    kind: Literal["table"] = setting(unit=TEXT, about="form of the prior")
    values: tuple[float, ...] = setting(unit=OWN, about="values, increasing", min_length=2)
    density: tuple[float, ...] = setting(unit=TEXT, about="density at the values, not scaled")

    @model_validator(mode="after")
    def _usable(self) -> TablePrior:
        if len(self.values) != len(self.density):
            raise ValueError(f"{len(self.values)} values but {len(self.density)} densities")
        if list(self.values) != sorted(set(self.values)):
            raise ValueError("values must increase")
        if min(self.density) < 0 or max(self.density) == 0:
            raise ValueError("densities must be zero or positive, and not all zero")
        return self


class MassPrior(_Range):
    """A Gaussian whose mean and width depend on the stellar mass that a fit finds.

    Such as a relation of mass and metallicity. Models are drawn evenly between the ends, and
    weighed by the prior when they are fitted.
    """

    kind: Literal["joint_with_mass"] = setting(unit=TEXT, about="form of the prior")
    log_mass: tuple[float, ...] = setting(
        unit="dex(Msun)", about="masses, increasing", min_length=2
    )
    mean: tuple[float, ...] = setting(unit=OWN, about="mean at each mass, linear between them")
    sigma: tuple[float, ...] = setting(unit=OWN, about="standard deviation at each mass")

    @model_validator(mode="after")
    def _usable(self) -> MassPrior:
        if not len(self.log_mass) == len(self.mean) == len(self.sigma):
            raise ValueError("log_mass, mean and sigma must be of equal length")
        if list(self.log_mass) != sorted(set(self.log_mass)):
            raise ValueError("log_mass must increase")
        if min(self.sigma) <= 0:
            raise ValueError(f"sigma must be positive; the least is {min(self.sigma)}")
        return self


class FixedPrior(Settings):
    """One value for all models; in YAML, just the number."""

    kind: Literal["fixed"] = setting("fixed", unit=TEXT, about="form of the prior")
    value: float = setting(unit=OWN, about="the value")


def _kind(value: object) -> str:
    """Return the form of a prior, ``uniform`` where none is named."""
    if isinstance(value, dict):
        return str(value.get("kind", "uniform"))
    return str(getattr(value, "kind", "uniform"))


def _number_is_fixed(value: object) -> object:
    """Accept a bare number as a fixed value."""
    return FixedPrior(value=float(value)) if isinstance(value, (int, float)) else value


PriorConfig = Annotated[
    Annotated[UniformPrior, Tag("uniform")]
    | Annotated[GaussianPrior, Tag("gaussian")]
    | Annotated[StudentTPrior, Tag("student_t")]
    | Annotated[GammaPrior, Tag("gamma")]
    | Annotated[TablePrior, Tag("table")]
    | Annotated[MassPrior, Tag("joint_with_mass")]
    | Annotated[FixedPrior, Tag("fixed")],
    Discriminator(_kind),
    BeforeValidator(_number_is_fixed),
]
"""The prior of one parameter; ``{low, high}`` is uniform, a bare number is fixed."""

Sfh = Literal[
    "tau",
    "delayed_tau",
    "lognormal",
    "gaussian",
    "double_power_law",
    "continuity",
    "dirichlet",
]
Cosmology = Literal[
    "flat_LCDM", "WMAP5", "WMAP7", "WMAP9", "Planck13", "Planck15", "Planck18"
]  # fmt: skip


class ModelConfig(Settings):
    """Stellar population models and the priors they are drawn from."""

    ssp: str = setting(
        "bc03", unit=TEXT, about="SSP product: bc03, synthetic, or the path of a product"
    )
    sfh: Sfh = setting("delayed_tau", unit=TEXT, about="form of the star formation history")
    sfh_bins: int = setting(
        7, unit=TEXT, about="time bins of the forms continuity and dirichlet", ge=3, le=30
    )
    dust: Literal["calzetti", "charlot_fall", "kriek_conroy"] = setting(
        "calzetti", unit=TEXT, about="attenuation law"
    )
    dust_emission: bool = setting(
        default=False, unit=TEXT, about="re-emit what dust absorbs (Draine & Li 2007)"
    )
    agn: bool = setting(default=False, unit=TEXT, about="add the dusty torus of an AGN")
    igm: Literal["madau95", "inoue14", "none"] = setting(
        "madau95", unit=TEXT, about="absorption by the intergalactic medium"
    )
    nebular: bool = setting(default=True, unit=TEXT, about="add nebular lines and continuum")
    priors: dict[str, PriorConfig] = setting(
        {}, unit=TEXT, about="priors that replace the registry's, by parameter name"
    )
    derived: tuple[str, ...] = setting(
        ("log_mw_age", "av"),
        unit=TEXT,
        about="derived quantities to report besides log_mass and log_sfr",
    )
    n_models: PositiveInt = setting(65536, unit=TEXT, about="models in the library")
    stored: str | None = setting(
        None, unit=TEXT, about="models built before, by `pxdask models build`; default: made here"
    )
    sampling: Literal["sobol", "random"] = setting(
        "sobol", unit=TEXT, about="how models fill the priors: quasi-random or random"
    )
    redshift_step: float | None = setting(
        None,
        unit=TEXT,
        about="spacing in ln(1 + z) of models that galaxies share; default: models for each",
        gt=0,
        le=0.1,
    )
    cosmology: Cosmology = setting("flat_LCDM", unit=TEXT, about="cosmological model")
    hubble: float = setting(70.0, unit="km s-1 Mpc-1", about="Hubble constant of flat_LCDM", gt=0)
    omega_m: float = setting(0.3, unit=TEXT, about="matter density of flat_LCDM", gt=0, le=1)

    @model_validator(mode="before")
    @classmethod
    def _moved(cls, values: Any) -> Any:  # noqa: ANN401  whatever the user gave
        if isinstance(values, dict) and "log_u" in values:
            raise ValueError(
                f"log_u is now a parameter: write priors: {{gas_logu: {values['log_u']}}}"
            )
        return values
