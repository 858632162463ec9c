"""Parameters, priors and starts of one galaxy, and how bands share them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pxdask.core.errors import DataError
from pxdask.core.morphology import ELLIP_RANGE, shape_range
from pxdask.core.settings import value_of
from pxdask.morphology.links import smooth_terms
from pxdask.morphology.parameters import PARAMETERS, SKY
from pxdask.morphology.transforms import MOST_Z, kind_of, z_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from pxdask.core.morphology import MorphologyConfig
    from pxdask.morphology.first_guess import Guess, Pixels
    from pxdask.morphology.parameters import Profile

    Floats = NDArray[np.float64]

MOST_ELLIP = ELLIP_RANGE[1]
"""Greatest ellipticity."""

_RADIUS_WIDTH = 1.0
"""Width of the prior of ln r_eff about the first guess."""
_ANGLE_WIDTH = np.pi / 3
"""Width of the prior of the angle about the first guess [rad]."""
_SLOPE_WIDTH = 0.5
"""Width of the priors of a polynomial's terms but the first, over that of the first."""
_FLUX_WIDTH = 20.0
"""Width of the prior of fluxes [first guess]; hardly a prior."""
_SHIFT_WIDTH = 0.3
"""Width of the prior of the centre about the first guess [r_eff]; no less than a pixel."""
_START_INDEX, _START_BULGE_INDEX, _START_BULGE = 1.5, 3.0, 0.3
BULGE_RADIUS, DISC_RADIUS = (0.05, 0.25, 0.8), (0.8, 1.2, 5.0)
"""Least, first and greatest radius of a bulge and of a disc [r_eff of the whole]. That of the whole
lies between them, so that they cannot be exchanged. A disc's first is that of outer rings."""
_SKY_WIDTH = 3.0
"""Width of the sky's prior [error of the border's]: the border's pixels are in the fit as well, and
would count twice in one as narrow as its error; and light too faint to be seen there would count as
sky: of mocks, twice the error makes indices 3.6 % too small, three times 2.7, none 2."""
_SKY_BOUNDS = 6.0
"""Ends of the sky's range about that of the border [its error]: beyond them is what profiles that
are not the galaxy's would have, not the sky."""
_LEAST_RADIUS = 1e-3
"""Least radius of one with a given prior [its mean]."""
_RADIUS_REACH = 5.0
"""Room for the radius of a bulge or a disc about a given one [its width]."""
_START_POINT = 0.05
"""Flux of a point at the centre, over that of the galaxy."""
_N_WAVE = 50


@dataclass(frozen=True, eq=False)
class Problem:
    """The parameters of one galaxy.

    Attributes
    ----------
    design : (n_band, n_local, n_dim) float64
        From theta to the z of each parameter of each band.
    low, high : (n_band, n_local) float64
        What transforms need; see `transforms.KINDS`.
    mean, std : (n_band, n_local) float64
        The same of what is truncated; 0 and 1 elsewhere.
    given : tuple of str
        What of the galaxy is truncated: it has a given prior between bounds.
    start, prior_mean, prior_std : (n_dim,) float64
        Start, and normal priors, of theta.
    columns : dict
        Where in theta the coefficients of (source, parameter) are; sky is source -1.
    wave : (n_wave,) float64
        Where smooth functions are evaluated [Angstrom].
    curves : dict
        Their terms (n_wave, n_coefficient), by parameter.
    """

    design: Floats
    low: Floats
    high: Floats
    mean: Floats
    std: Floats
    given: tuple[str, ...]
    start: Floats
    prior_mean: Floats
    prior_std: Floats
    columns: Mapping[tuple[int, str], slice]
    wave: Floats
    curves: Mapping[str, Floats]


@dataclass(frozen=True, eq=False)
class _Parameter:
    """One parameter in all bands: ends or scale (n_band,), start and normal prior of z.

    Of a truncated one, ``given`` has the mean and the width of the value.
    """

    low: Floats
    high: Floats
    start: Floats
    mean: Floats
    std: float
    given: tuple[float, float] | None = None


def make_problem(
    guesses: Sequence[Guess],
    *,
    pivot_wave: Floats,
    pixels: Sequence[Pixels],
    config: MorphologyConfig,
    galaxy: Mapping[str, object],
) -> Problem:
    """Return parameters, priors and start.

    Parameters
    ----------
    guesses : sequence of Guess
        Of the galaxy, then of its neighbours.
    pivot_wave : (n_band,) float64
        Of the bands that are fitted [Angstrom].
    pixels : sequence of Pixels
        The bands.
    config : MorphologyConfig
        Profile, links and priors.
    galaxy : mapping
        Catalogue row, for priors that name its columns.

    Raises
    ------
    DataError
        If a column that a prior names has no number, or none that is possible.
    """
    own = [(0, name) for name in PARAMETERS[config.profile]]
    others = [(i, name) for i in range(1, len(guesses)) for name in PARAMETERS["sersic"]]
    local = [*own, *others, *((-1, name) for name in SKY[config.sky])]
    wave = np.linspace(np.min(pivot_wave), np.max(pivot_wave), _N_WAVE)
    blocks, parts = [], []
    for source, name in local:
        blocks.append(_terms(source, name, pivot_wave, config))
        profile = config.profile if source <= 0 else "sersic"
        part = _parameter(name, guesses[max(source, 0)], pixels, profile=profile)
        parts.append(_with_given(part, name, config, galaxy) if source == 0 else part)
    ends = np.cumsum([0, *(block.shape[1] for block in blocks)])
    columns = {
        key: slice(int(a), int(b)) for key, a, b in zip(local, ends[:-1], ends[1:], strict=True)
    }
    design = np.zeros((len(pivot_wave), len(local), int(ends[-1])))
    for i, (block, key) in enumerate(zip(blocks, local, strict=True)):
        design[:, i, columns[key]] = block
    each = [
        _coefficients(part, block, config=config, linked=_mode(*key, config) == "linked")
        for part, block, key in zip(parts, blocks, local, strict=True)
    ]
    start, mean, std = (np.concatenate(numbers) for numbers in zip(*each, strict=True))
    curves = {
        name: smooth_terms(wave, of_bands=pivot_wave, link=config.link, order=config.order)
        for source, name in own
        if _mode(source, name, config) == "linked"
    }
    return Problem(
        design=design,
        low=np.stack([part.low for part in parts], axis=1),
        high=np.stack([part.high for part in parts], axis=1),
        mean=_of_given(parts, 0, len(pivot_wave)),
        std=_of_given(parts, 1, len(pivot_wave)),
        given=tuple(
            name for (_, name), part in zip(local, parts, strict=True) if part.given is not None
        ),
        start=start, prior_mean=mean, prior_std=std, columns=columns, wave=wave, curves=curves,
    )  # fmt: skip


def _of_given(parts: Sequence[_Parameter], number: int, n_band: int) -> Floats:
    """Return the means or the widths (n_band, n_local) of given priors; 0 or 1 elsewhere."""
    usual = (0.0, 1.0)
    return np.tile([(part.given or usual)[number] for part in parts], (n_band, 1))


def _mode(source: int, name: str, config: MorphologyConfig) -> str:
    """Return whether a parameter is free, constant or linked; a disc's is as the bulge's.

    Neighbours have one shape in all bands.
    """
    if name in ("flux", "point_flux", "bulge_fraction") or source < 0:
        return "free"
    if source > 0:
        return "constant"
    if not config.joint:
        return "free"
    for each in (name, name.removeprefix("disc_")):
        if each in config.linked:
            return "linked"
        if each in config.constant:
            return "constant"
    return "free"


def _terms(source: int, name: str, pivot_wave: Floats, config: MorphologyConfig) -> Floats:
    """Return the matrix (n_band, n_coefficient) from coefficients to z."""
    mode = _mode(source, name, config)
    if mode == "linked":
        return smooth_terms(pivot_wave, of_bands=pivot_wave, link=config.link, order=config.order)
    return np.ones((len(pivot_wave), 1)) if mode == "constant" else np.eye(len(pivot_wave))


def _parameter(
    name: str, guess: Guess, pixels: Sequence[Pixels], *, profile: Profile
) -> _Parameter:
    """Return one parameter's transform, start and prior from the first guess."""
    if name.startswith("sky"):
        return _sky(name, guess)
    if "bounded" in kind_of(name, profile):
        return _bounded(name, guess, n_band=len(pixels), profile=profile)
    if name in ("flux", "point_flux"):
        high = np.maximum(np.abs(guess.flux), 5 * guess.flux_err)
        start = guess.flux / high if name == "flux" else np.full(len(high), _START_POINT)
        return _linear(0 * high, high, start=start, std=_FLUX_WIDTH)
    coarsest = max(each.pixel_scale for each in pixels)
    shift = max(coarsest, _SHIFT_WIDTH * guess.r_eff)
    middle, width = {
        "xc": (guess.xc, shift),
        "yc": (guess.yc, shift),
        "theta": (guess.theta, _ANGLE_WIDTH),
        "r_eff": (np.log(guess.r_eff), _RADIUS_WIDTH),
    }[name.removeprefix("disc_")]
    ones = np.ones(len(pixels))
    return _linear(middle * ones, width * ones)


def _sky(name: str, guess: Guess) -> _Parameter:
    """Return a sky term: a normal prior about that of the border, between bounds.

    Within a standard deviation of the prior values are linear in z, to 7 %.
    """
    if name == "sky":
        pairs = [(each.level, each.level_err) for each in guess.borders]
    else:
        pairs = [(each.slope[name == "sky_y"], each.slope_err) for each in guess.borders]
    middle, err = np.array(pairs).T
    zero = np.zeros(len(middle))
    reach = _SKY_BOUNDS * err
    return _Parameter(
        middle - reach, middle + reach, zero, zero, _SKY_WIDTH * np.sqrt(np.pi / 2) / _SKY_BOUNDS
    )


def _bounded(name: str, guess: Guess, *, n_band: int, profile: Profile) -> _Parameter:
    """Return a parameter with a flat prior between bounds, and its start."""
    two = profile == "sersic_exponential"
    bulge = [guess.r_eff * part for part in BULGE_RADIUS]
    disc = [guess.r_eff * part for part in DISC_RADIUS]
    disc[1] = guess.disc_r_eff
    low, high, value = {
        "ellip": (0.0, MOST_ELLIP, guess.ellip),
        "disc_ellip": (0.0, MOST_ELLIP, guess.ellip),
        "n": (
            *np.log(shape_range("n", profile)),
            _START_BULGE_INDEX if two else _START_INDEX,
        ),
        "bulge_fraction": (0.0, 1.0, _START_BULGE),
        "r_eff": (np.log(bulge[0]), np.log(bulge[2]), bulge[1]),
        "disc_r_eff": (np.log(disc[0]), np.log(disc[2]), disc[1]),
    }[name]
    z = z_of(value, kind=kind_of(name, profile), low=low, high=high)
    ones = np.ones(n_band)
    return _Parameter(low * ones, high * ones, z * ones, 0 * ones, 1.0)


def _linear(
    low: Floats, high: Floats, *, start: Floats | None = None, std: float = 1.0
) -> _Parameter:
    """Return a parameter without bounds; its prior is about the start."""
    begin = np.zeros(len(low)) if start is None else start
    return _Parameter(low, high, begin, begin, std)


def _with_given(
    part: _Parameter, name: str, config: MorphologyConfig, galaxy: Mapping[str, object]
) -> _Parameter:
    """Return the parameter with the prior of the settings, where they have one.

    It is normal in the value itself, cut at the ends of what is possible. The fit starts at its
    median.
    """
    if name not in config.priors:
        return part
    prior, kind = config.priors[name], kind_of(name, config.profile)
    mean, std = value_of(prior.mean, galaxy), value_of(prior.std, galaxy)
    _require_usable(name, mean, std, galaxy=galaxy, config=config)
    ones = np.ones(len(part.low))
    if name.endswith("theta"):
        mean, std = np.radians(mean), np.radians(std)
    if kind == "linear":
        return _linear(mean * ones, std * ones)
    low, high = shape_range(name, config.profile)
    if name.endswith("r_eff"):
        low, high = _LEAST_RADIUS * mean, mean + MOST_Z * std
    if name.endswith("r_eff") and kind == "log_bounded":
        # who knows a radius is not held to what pixels tell
        reach = _RADIUS_REACH * std
        low = max(low, min(np.exp(part.low[0]), mean - reach))
        high = max(np.exp(part.high[0]), mean + reach)
    return _Parameter(low * ones, high * ones, 0 * ones, 0 * ones, 1.0, (mean, std))


def _coefficients(
    part: _Parameter, terms: Floats, *, config: MorphologyConfig, linked: bool
) -> tuple[Floats, Floats, Floats]:
    """Return start, prior mean and prior width of a parameter's coefficients.

    Those of a polynomial but the first have priors about zero: shapes change little with
    wavelength unless the pixels say so.
    """
    n = terms.shape[1]
    if n == len(part.start) and not linked:
        return part.start, part.mean, np.full(n, part.std)
    start, mean = np.full(n, part.start[0]), np.full(n, part.mean[0])
    std = np.full(n, part.std)
    if linked and config.link == "polynomial":
        start[1:], mean[1:] = 0.0, 0.0
        std[1:] *= _SLOPE_WIDTH
    return start, mean, std


def _require_usable(
    name: str,
    mean: float,
    std: float,
    *,
    galaxy: Mapping[str, object],
    config: MorphologyConfig,
) -> None:
    """Raise `DataError` unless a prior's numbers are possible."""
    low, high = shape_range(name, config.profile)
    inside = low <= mean <= high and not (mean <= 0 and name.endswith("r_eff"))
    if not inside or std <= 0:
        wanted = f"a mean from {low:g} to {high:g}" if np.isfinite(high) else "any mean"
        wanted = "a mean above 0" if name.endswith("r_eff") else wanted
        raise DataError(
            f"galaxy {galaxy.get('id')!r}: the prior of {name} is {mean:g} +- {std:g}; wanted "
            f"{wanted}, and a positive width"
        )
