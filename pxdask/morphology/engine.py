"""Density of a scene's parameters, and its normal equations, in JAX.

All that belongs to a galaxy is an argument, so that a program is compiled once for each form of
problem (`Layout`), not for each galaxy. `Arrays` are those of `scene.Scene`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr, ndtri
from jax.scipy.stats import norm

from pxdask.morphology.parameters import PARAMETERS, SKY
from pxdask.morphology.rendering import point_image, sersic_image
from pxdask.morphology.transforms import values_of

if TYPE_CHECKING:
    from jax import Array

    from pxdask.morphology.parameters import Layout

    Arrays = dict[str, Any]
    Band = dict[str, Array]

_IMAGES = {"sersic": sersic_image, "point": point_image}


class Component(NamedTuple):
    """A part of a source in one band: form, flux [uJy], and the numbers its image depends on."""

    form: str
    flux: Array
    numbers: Array


class Normal(NamedTuple):
    """Cost, gradient and curvature of a fit.

    Attributes
    ----------
    cost : scalar array
        -ln of likelihood and prior, but for a constant.
    gradient : (n_dim,) array
        Of the cost.
    majorant : (n_dim, n_dim) array
        Gauss-Newton matrix of reweighted least squares: not below the curvature.
    curvature : (n_dim, n_dim) array
        Gauss-Newton matrix of the loss itself, in which far outliers count negative.
    """

    cost: Array
    gradient: Array
    majorant: Array
    curvature: Array


def log_density(theta: Array, arrays: Arrays, layout: Layout) -> Array:
    """Return ln of likelihood times prior, but for a constant.

    Parameters
    ----------
    theta : (n_dim,) array
        Unbounded parameters, as `Scene.start`.
    arrays : dict
        `Scene.arrays`.
    layout : Layout
        `Scene.layout`; static where this is compiled.
    """

    def band_cost(band: Band) -> Array:
        residual = (band["flux"] - band_image(theta, band, layout)) * band["weight"]
        return jnp.sum(_loss(residual, arrays["dof"], layout))

    costs = [jnp.sum(jax.lax.map(band_cost, group)) for group in arrays["groups"]]
    away = (theta - arrays["prior_mean"]) / arrays["prior_std"]
    return -sum(costs, jnp.zeros(())) - 0.5 * jnp.sum(away**2)


def model_images(theta: Array, arrays: Arrays, layout: Layout) -> list[Array]:
    """Return the model of each group of bands, (n_band, side, side) [uJy per pixel]."""
    return [
        jax.lax.map(lambda band: band_image(theta, band, layout), group)
        for group in arrays["groups"]
    ]


def band_image(theta: Array, band: Band, layout: Layout) -> Array:
    """Return the model of one band, sky included (side, side) [uJy per pixel]."""
    side = band["flux"].shape[-1]
    parts, sky = components(theta, band, layout)
    image = jnp.zeros((side, side))
    for part in parts:
        image = image + part.flux * _IMAGES[part.form](part.numbers, band["psf"], side=side)
    for level, term in zip(sky, sky_terms(band, side=side), strict=False):
        image = image + level * term
    return image


def components(theta: Array, band: Band, layout: Layout) -> tuple[list[Component], Array]:
    """Return the components of all sources in one band, and the levels of its sky (n_sky,)."""
    z = band["design"] @ theta
    values = values_of(
        z, band["low"], band["high"], kinds=layout.kinds, xp=jnp, probability=ndtr, quantile=ndtri,
        given=(band["mean"], band["std"]) if layout.given else None,
    )  # fmt: skip
    parts: list[Component] = []
    start = 0
    for profile in layout.sources:
        names = PARAMETERS[profile]
        own = dict(zip(names, values[start : start + len(names)], strict=True))
        parts += _source_components(own, profile, band)
        start += len(names)
    return parts, values[start:]


def _source_components(own: dict[str, Array], profile: str, band: Band) -> list[Component]:
    """Return what one source is made of."""
    centre = band["origin"] + band["matrix"] @ jnp.stack([own["xc"], own["yc"]])
    if profile == "point":
        return [Component("point", own["flux"], centre)]
    first = Component("sersic", own["flux"], _ellipse(own, "", own["n"], centre, band))
    if profile == "sersic_point":
        return [first, Component("point", own["point_flux"], centre)]
    if profile == "sersic_exponential":
        bulge = own["bulge_fraction"]
        disc = _ellipse(own, "disc_", jnp.ones_like(bulge), centre, band)
        return [
            first._replace(flux=own["flux"] * bulge),
            Component("sersic", own["flux"] * (1 - bulge), disc),
        ]
    return [first]


def _ellipse(own: dict[str, Array], prefix: str, index: Array, centre: Array, band: Band) -> Array:
    """Return the numbers of a Sersic image: centre, squared r_eff as a matrix [pix2], index."""
    radius, angle = own[f"{prefix}r_eff"], own[f"{prefix}theta"]
    east, north = jnp.sin(angle), jnp.cos(angle)
    major = radius * (band["matrix"] @ jnp.stack([east, north]))
    minor = radius * (1 - own[f"{prefix}ellip"]) * (band["matrix"] @ jnp.stack([north, -east]))
    square = jnp.outer(major, major) + jnp.outer(minor, minor)
    shape = jnp.stack([square[0, 0], square[0, 1], square[1, 1], index])
    return jnp.concatenate([centre, shape])


def sky_terms(band: Band, *, side: int) -> list[Array]:
    """Return 1, x and y, from the galaxy's position in halves of the stamp's side."""
    place = np.arange(side, dtype=np.float64)
    flat = jnp.ones((side, side))
    x, y = ((place - band["origin"][axis]) / band["half_side"] for axis in (0, 1))
    return [flat, flat * x[None, :], flat * y[:, None]]


def normal_equations(theta: Array, arrays: Arrays, layout: Layout) -> Normal:
    """Return cost, gradient and curvature at ``theta``; see `log_density` for the arguments."""
    away = (theta - arrays["prior_mean"]) / arrays["prior_std"]
    precision = jnp.diag(arrays["prior_std"] ** -2.0)
    total = Normal(0.5 * jnp.sum(away**2), away / arrays["prior_std"], precision, precision)
    for group in arrays["groups"]:
        each = jax.lax.map(lambda band: _band_normal(theta, band, arrays["dof"], layout), group)
        total = jax.tree.map(lambda a, b: a + jnp.sum(b, axis=0), total, each)
    return total


def _band_normal(theta: Array, band: Band, dof: Array, layout: Layout) -> Normal:
    """Return one band's part of the normal equations."""
    side = band["flux"].shape[-1]
    (parts, sky), slopes = _with_slopes(theta, band, layout)
    terms: list[Array] = []
    image = jnp.zeros((side, side))
    for part in parts:
        unit, changes = _image_and_slopes(part, band["psf"], side=side)
        image = image + part.flux * unit
        terms += [unit[None], part.flux * changes]
    planes = sky_terms(band, side=side)[: len(sky)]
    image = sum((level * plane for level, plane in zip(sky, planes, strict=True)), image)
    stack = jnp.concatenate([*terms, *(plane[None] for plane in planes)])
    scaled = (stack * band["weight"]).reshape(len(stack), -1)
    residual = ((band["flux"] - image) * band["weight"]).ravel()
    weight, bend = _loss_weights(residual, dof, layout)
    majorant = (scaled * weight) @ scaled.T
    curvature = majorant if layout.loss == "gaussian" else (scaled * bend) @ scaled.T
    gradient = -(scaled @ (weight * residual))
    bend = _sky_bend(theta, gradient, band, layout)
    return Normal(
        jnp.sum(_loss(residual, dof, layout)),
        slopes.T @ gradient,
        slopes.T @ majorant @ slopes + bend,
        slopes.T @ curvature @ slopes + bend,
    )


def _sky_bend(theta: Array, gradient: Array, band: Band, layout: Layout) -> Array:
    """Return the curvature (n_dim, n_dim) of the sky's transform, where it is positive.

    A profile that is not the galaxy's presses the sky against its bounds with all its pixels.
    There the transform's curvature is all there is, and steps without it go too far.
    """
    count = len(SKY[layout.sky])
    first = len(layout.local) - count
    design = band["design"][first:]
    z = design @ theta
    second = -z * norm.pdf(z) * (band["high"] - band["low"])[first:]
    positive = jnp.maximum(gradient[gradient.shape[0] - count :] * second, 0.0)
    return (design.T * positive) @ design


def _with_slopes(
    theta: Array, band: Band, layout: Layout
) -> tuple[tuple[list[Component], Array], Array]:
    """Return components and sky, and the derivatives of all their numbers by theta."""

    def numbers(theta: Array) -> Array:
        parts, sky = components(theta, band, layout)
        listed = [jnp.concatenate([part.flux[None], part.numbers]) for part in parts]
        return jnp.concatenate([*listed, sky])

    return components(theta, band, layout), jax.jacfwd(numbers)(theta)


def _image_and_slopes(part: Component, psf: Array, *, side: int) -> tuple[Array, Array]:
    """Return the image of unit flux, and its derivatives by each number, before the flux."""

    def image(numbers: Array) -> Array:
        return _IMAGES[part.form](numbers, psf, side=side)

    def slope(direction: Array) -> tuple[Array, Array]:
        value, change = jax.jvp(image, (part.numbers,), (direction,))
        return value, change

    value, changes = jax.vmap(slope, out_axes=(None, 0))(jnp.eye(len(part.numbers)))
    return value, changes


def _loss(residual: Array, dof: Array, layout: Layout) -> Array:
    """Return -ln of the density of residuals of unit variance, but for a constant.

    Student's t has variance one where its scale is sqrt((dof - 2) / dof), so that errors mean
    what they say: (dof + 1) / 2 ln(1 + r^2 / (dof - 2)).
    """
    if layout.loss == "gaussian":
        return 0.5 * residual**2
    return 0.5 * (dof + 1) * jnp.log1p(residual**2 / (dof - 2))


def _loss_weights(residual: Array, dof: Array, layout: Layout) -> tuple[Array, Array]:
    """Return the loss's derivative over the residual, and its second derivative."""
    if layout.loss == "gaussian":
        return jnp.ones_like(residual), jnp.ones_like(residual)
    square, spread = residual**2, dof - 2
    return (dof + 1) / (spread + square), (dof + 1) * (spread - square) / (spread + square) ** 2
