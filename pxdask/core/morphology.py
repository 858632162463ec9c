"""Settings of the morphology stage: which profile is fitted to which bands, and how."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import AfterValidator, PositiveInt, model_validator

from pxdask.core.settings import TEXT, NumberOrColumn, Settings, setting

LINKABLE = ("xc", "yc", "theta", "ellip", "r_eff", "n")
"""Shape parameters of a source, which bands may share; of a disc beside it: ``disc_r_eff``, ..."""


_DISC_SHAPES = ("disc_theta", "disc_ellip", "disc_r_eff")

SHAPES = {
    "sersic": LINKABLE,
    "sersic_exponential": (*LINKABLE, *_DISC_SHAPES),
    "point": ("xc", "yc"),
    "sersic_point": LINKABLE,
}
"""Shape parameters of each profile."""

ELLIP_RANGE = (0.0, 0.95)
"""Least and greatest ellipticity."""

INDEX_RANGE = (0.2, 10.0)
"""Least and greatest Sersic index that can be rendered."""

BULGE_INDEX = (0.5, 10.0)
"""Least and greatest index of a bulge: flatter ones are rings, and would be of arms."""


def shape_range(name: str, profile: str) -> tuple[float, float]:
    """Return what a shape of a profile lies between; radii, which have an open end at 0, too."""
    if name.endswith("r_eff"):
        return 0.0, math.inf
    if name.endswith("ellip"):
        return ELLIP_RANGE
    if name == "n":
        return BULGE_INDEX if profile == "sersic_exponential" else INDEX_RANGE
    return -math.inf, math.inf


def _positive(value: float | str) -> float | str:
    """Return a width; refuse a number that is none."""
    if not isinstance(value, str) and value <= 0:
        raise ValueError("wanted a width above 0, or a catalogue column that holds one")
    return value


class ShapePrior(Settings):
    """A normal prior of one shape parameter, instead of that from the image.

    It is cut at the ends of what is possible: an ellipticity of 0 +- 0.1 is half of a normal one.
    """

    mean: NumberOrColumn = setting(unit=TEXT, about="mean, or its catalogue column")
    std: Annotated[NumberOrColumn, AfterValidator(_positive)] = setting(
        unit=TEXT, about="standard deviation, or its catalogue column"
    )


class MorphologyConfig(Settings):
    """Sersic profiles of each galaxy, all bands together or each alone.

    r_eff is in arcsec along the major axis, theta in degrees from north to east, xc and yc in
    arcsec east and north of the catalogue's position.
    """

    bands: tuple[str, ...] = setting((), unit=TEXT, about="bands that are fitted; default: all")
    data: Literal["own", "matched"] = setting(
        "own",
        unit=TEXT,
        about="own: bands on their own pixels with their own PSFs; matched: the cube",
    )
    profile: Literal["sersic", "sersic_exponential", "point", "sersic_point"] = setting(
        "sersic", unit=TEXT, about="what a galaxy is made of"
    )
    joint: bool = setting(
        default=True, unit=TEXT, about="fit all bands together; false: each by itself"
    )
    linked: tuple[str, ...] = setting(
        ("ellip", "r_eff", "n"), unit=TEXT, about="shapes that are smooth functions of wavelength"
    )
    constant: tuple[str, ...] = setting(
        ("xc", "yc", "theta"), unit=TEXT, about="shapes that all bands share; others are free"
    )
    link: Literal["polynomial", "bspline"] = setting(
        "polynomial", unit=TEXT, about="form of the smooth functions"
    )
    order: int = setting(
        2, unit=TEXT, about="of the smooth functions; less where there are fewer bands", ge=0, le=6
    )
    sky: Literal["none", "flat", "tilted"] = setting(
        "flat", unit=TEXT, about="what is left of the sky in each band"
    )
    loss: Literal["gaussian", "student_t"] = setting(
        "student_t", unit=TEXT, about="distribution of residuals"
    )
    dof: float = setting(5.0, unit=TEXT, about="degrees of freedom of Student's t", gt=2)
    posterior: Literal["laplace", "variational", "nuts"] = setting(
        "laplace",
        unit=TEXT,
        about="normal at the best fit; a fitted normal; or sampled by NUTS",
    )
    n_draws: PositiveInt = setting(500, unit=TEXT, about="posterior draws of each galaxy")
    neighbours: Literal["mask", "model"] = setting(
        "mask", unit=TEXT, about="other sources of the stamp are left out, or fitted too"
    )
    max_neighbours: int = setting(
        4, unit=TEXT, about="brightest neighbours that are modelled; fainter are masked", ge=0
    )
    stamp: float = setting(
        2.5, unit=TEXT, about="half-side of the stamp over the radius of the region", gt=1
    )
    max_side: PositiveInt = setting(
        256, unit="pix", about="longest side of a stamp in any band; larger galaxies are cut"
    )
    engine: Literal["jax", "pysersic"] = setting(
        "jax", unit=TEXT, about="own compiled engine, or pysersic, which is the reference"
    )
    priors: dict[str, ShapePrior] = setting(
        {}, unit=TEXT, about="priors of shapes by name; default: from the image"
    )
    max_chi2: float = setting(
        3.0, unit=TEXT, about="reduced chi-square above which a fit is flagged", gt=0
    )

    @model_validator(mode="after")
    def _names(self) -> MorphologyConfig:
        named = (*self.linked, *self.constant, *self.priors)
        known = SHAPES["sersic_exponential"]
        if wrong := sorted({name for name in named if name not in known}):
            raise ValueError(f"{wrong} are no shapes; these are {list(known)}")
        if twice := sorted(set(self.linked) & set(self.constant)):
            raise ValueError(f"{twice} are both linked and constant")
        own = SHAPES[self.profile]
        if absent := sorted(set(self.priors) - set(own)):
            raise ValueError(
                f"priors of {absent}: profile {self.profile} has no such shapes; its own are"
                f" {list(own)}"
            )
        for name, prior in self.priors.items():
            low, high = shape_range(name, self.profile)
            mean = prior.mean
            closed = mean != low or not name.endswith("r_eff")
            if not isinstance(mean, str) and not (low <= mean <= high and closed):
                span = "above 0" if name.endswith("r_eff") else f"from {low:g} to {high:g}"
                raise ValueError(f"the prior of {name} has a mean of {mean:g}; wanted one {span}")
        return self


class RadialConfig(Settings):
    """Radial profiles of maps, and sizes of mass and of light, on a galaxy's ellipses."""

    band: str | None = setting(
        None,
        unit=TEXT,
        about="band whose ellipse and R_eff are used; default: the reddest of S/N above 10",
    )
    step: float = setting(0.25, unit=TEXT, about="width of a ring in R_eff", gt=0)
    reach: float = setting(4.0, unit=TEXT, about="outer end of the last ring in R_eff", gt=0)
    weight: Literal["mass", "area"] = setting(
        "mass", unit=TEXT, about="what ages, metallicities, attenuations are weighted by"
    )
    n_draws: PositiveInt = setting(500, unit=TEXT, about="draws that uncertainties come from")
