"""Fits with images by pysersic, the reference that the own engine is compared with.

pysersic (Pasha & Miller 2023, JOSS 8, 5703) makes the images; parameters, priors, links between
bands and masks are those of the scene. What differs from the own engine is rendering, the way to
the best fit, and the curvature there: the whole Hessian, by differences, instead of Gauss-Newton's.

Of the traps of pysersic 0.1.5 these are gone: Student's t has the scale at which its variance is
one (theirs makes errors 1.4 x too wide); radii are fitted by their logarithm, so that none can be
negative; stamps of any form and of different pixels come in one fit, on squares so wide that
little comes round the edges of a transform; arrays are native and in double precision; model
images are made once, at the end; nothing of numpyro is used, whose handlers forbid threads; and its
profiles are Sersic's also at low and high indices, see `RENDERER`.
What stays is the range of indices that its renderer knows, `INDEX_LIMITS`: beyond it the index acts
as the nearer end. Each galaxy is compiled anew, for its PSF is a constant of pysersic's programs.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy import stats
from scipy.optimize import minimize

from pxdask.core.errors import ConfigError
from pxdask.morphology.compiled import double_precision, one_threaded
from pxdask.morphology.engine import Normal, components, sky_terms
from pxdask.morphology.levenberg import CONVERGED, Best
from pxdask.morphology.parameters import fft_side
from pxdask.morphology.profiles import INDEX_RANGES, concentration

if TYPE_CHECKING:
    from collections.abc import Callable

    from jax import Array
    from numpy.typing import NDArray

    from pxdask.morphology.engine import Arrays, Band, Component
    from pxdask.morphology.parameters import Layout
    from pxdask.morphology.scene import Scene

    Floats = NDArray[np.float64]
    Density = Callable[[Array, Arrays, Layout], Array]
    Renderers = list[list[Any]]

INDEX_LIMITS = INDEX_RANGES["pysersic"]
"""Sersic indices between which pysersic's renderer has amplitudes of its Gaussians."""

RENDERER = {"n_sigma": 61, "frac_start": 5e-3, "frac_end": 60.0, "num_pixel_render": 16}
"""The Gaussians of its renderer: 61 from 0.005 to 60 r_eff, those above 5 r_eff drawn in real
space, as by default. The default's 15 Gaussians, to 15 r_eff, are no Sersic profile where n < 0.9:
they hold 3 % more than the nominal flux at n = 0.8, 9 % at 0.7 and 13 % at 0.65, all of it at 1.5
to 3 r_eff, and 8 % less at n = 8."""

PSF_FLUX = 0.9999
"""Part of a PSF's absolute flux in the square that pysersic is given: it takes the square's second
moment for the PSF's width, in which far wings count too much."""

_INDICES = np.geomspace(*INDEX_LIMITS, 400)
_RADII = (concentration(_INDICES) / (1.9992 * _INDICES - 0.3271)) ** _INDICES
"""The half-light radius of what pysersic draws over what it calls r_eff, of each of some indices:
its b_n is an approximation that is meant for n > 0.5 but wrong by 2 % at 0.65."""

_MAX_STEPS = 400
_MAX_NEWTON = 8


def best_with_pysersic(scene: Scene, start: Floats) -> Best:
    """Return the best fit of a scene with pysersic's images.

    Parameters
    ----------
    scene : Scene
        What is fitted.
    start : (n_dim,) float64
        Where to begin.

    Returns
    -------
    best : Best
        Arrays of numpy, with a leading axis of one, as the own engine returns of one scene. Both
        curvatures are the Hessian.

    Raises
    ------
    ConfigError
        Where pysersic is not installed.

    Notes
    -----
    By BFGS (Nocedal & Wright 2006, section 6.1), then Newton's steps until the next promises to
    lower the cost by less than 5e-5.
    """
    with double_precision():
        renderers = scene_renderers(scene)

        def cost(theta: Array, arrays: Arrays) -> Array:
            return -_log_density(theta, arrays, scene.layout, renderers)

        descent = jax.jit(jax.value_and_grad(cost), compiler_options=one_threaded())

        def values(theta: Floats) -> tuple[float, Floats]:
            value, slope = descent(theta, scene.arrays)
            return float(value), np.asarray(slope, np.float64)

        limits = {"maxiter": _MAX_STEPS, "gtol": 0.1}
        first = minimize(values, start, jac=True, method="BFGS", options=limits)
        # a tenth of a standard deviation, so far as that is known
        widths = 0.1 * np.clip(np.sqrt(np.abs(np.diag(first.hess_inv))), 1e-5, 0.1)
        theta, n_newton, converged = _polished(first.x, values, widths)
        (value, slope), matrix = values(theta), _hessian(theta, values, widths)
        drawn = _images(jnp.asarray(theta), scene.arrays, scene.layout, renderers)
    images = tuple(np.asarray(each, np.float64) for each in drawn)
    chi2 = tuple(
        (((group["flux"] - image) * group["weight"]) ** 2).sum(axis=(1, 2))
        for group, image in zip(scene.arrays["groups"], images, strict=True)
    )
    n_steps = int(first.nit) + n_newton
    return Best(
        theta=_alone(theta),
        normal=Normal(*(_alone(each) for each in (value, slope, matrix, matrix))),
        n_steps=_alone(n_steps),
        converged=_alone(converged),
        chi2=tuple(_alone(each) for each in chi2),
        images=tuple(_alone(each) for each in images),
    )


def _alone(value: Any) -> Any:  # noqa: ANN401  numbers, for what is made of JAX arrays
    """Return a number or an array with a leading axis of one."""
    return np.asarray(value)[None]


def reference_density(scene: Scene) -> Density:
    """Return a function as `engine.log_density`, but with pysersic's images; of this scene only."""
    with double_precision():
        renderers = scene_renderers(scene)

    def density(theta: Array, arrays: Arrays, layout: Layout) -> Array:
        return _log_density(theta, arrays, layout, renderers)

    return density


def scene_renderers(scene: Scene) -> Renderers:
    """Return pysersic's renderer of each band, by group.

    Raises
    ------
    ConfigError
        Where pysersic is not installed.
    """
    try:
        from pysersic.rendering import HybridRenderer  # type: ignore[import-untyped]  # noqa: PLC0415  an extra
    except ImportError as error:
        raise ConfigError(
            "morphology.engine pysersic needs it: pip install 'pxdask[pysersic]'"
        ) from error
    found = []
    with warnings.catch_warnings():
        # of equinox, about numbers that pysersic declares constant
        warnings.filterwarnings("ignore", message="A JAX array is being set as static")
        for (_, side), group in zip(scene.layout.groups, scene.arrays["groups"], strict=True):
            n_fft = fft_side(side)
            psfs = [psf_square(each, n_fft=n_fft) for each in group["psf"]]
            found.append(
                [HybridRenderer((n_fft, n_fft), jnp.asarray(psf), **RENDERER) for psf in psfs]
            )
    return found


def psf_square(transform: NDArray[np.complex128], *, n_fft: int) -> Floats:
    """Return a PSF as an image, from its transform about its centre.

    Parameters
    ----------
    transform : (n_fft, n_fft // 2 + 1) complex128
        As of `scene.psf_transform`.
    n_fft : int
        Side of the transform [pix].

    Returns
    -------
    psf : (side, side) float64
        Of sum one and odd side, centred on its middle pixel: the least square that holds
        `PSF_FLUX` of the absolute flux.
    """
    image = np.fft.fftshift(np.fft.irfft2(transform, s=(n_fft, n_fft)))
    middle = n_fft // 2
    y, x = np.abs(np.indices(image.shape) - middle)
    reach = np.maximum(x, y)
    inside = np.cumsum(np.bincount(reach.ravel(), weights=np.abs(image).ravel()))
    half = min(int(np.argmax(inside >= PSF_FLUX * inside[-1])), n_fft - middle - 1)
    square = image[middle - half : middle + half + 1, middle - half : middle + half + 1]
    return np.asarray(square / square.sum(), dtype=np.float64)


def _polished(
    theta: Floats, values: Callable[[Floats], tuple[float, Floats]], widths: Floats
) -> tuple[Floats, int, bool]:
    """Return where Newton's steps lead, their number, and whether the last promised nothing."""
    value, slope = values(theta)
    for step in range(_MAX_NEWTON):
        try:
            move = -np.linalg.solve(_hessian(theta, values, widths), slope)
        except np.linalg.LinAlgError:
            return theta, step, False
        promise = float(-slope @ move)
        if 0 <= promise < CONVERGED:
            return theta, step, True
        new_value, new_slope = values(theta + move)
        if not (promise > 0 and new_value <= value):
            return theta, step, False
        theta, value, slope = theta + move, new_value, new_slope
    return theta, _MAX_NEWTON, False


def _hessian(
    theta: Floats, values: Callable[[Floats], tuple[float, Floats]], widths: Floats
) -> Floats:
    """Return second derivatives as differences of gradients over twice the widths (n_dim,).

    Compiling them would take longer than all else.
    """
    steps = np.diag(widths)
    rows = [(values(theta + step)[1] - values(theta - step)[1]) / 2 for step in steps]
    matrix = np.array(rows) / widths[:, None]
    return 0.5 * (matrix + matrix.T)


def _log_density(theta: Array, arrays: Arrays, layout: Layout, renderers: Renderers) -> Array:
    """Return ln of likelihood times prior but for a constant; zero where all is met exactly."""
    away = (theta - arrays["prior_mean"]) / arrays["prior_std"]
    total = -0.5 * jnp.sum(away**2)
    for group, image in zip(
        arrays["groups"], _images(theta, arrays, layout, renderers), strict=True
    ):
        residual = (group["flux"] - image) * group["weight"]
        if layout.loss == "gaussian":
            total = total - 0.5 * jnp.sum(residual**2)
        else:
            dof = arrays["dof"]
            scale = jnp.sqrt((dof - 2) / dof)
            ratio = stats.t.logpdf(residual, dof, scale=scale) - stats.t.logpdf(
                0.0, dof, scale=scale
            )
            total = total + jnp.sum(ratio)
    return total


def _images(theta: Array, arrays: Arrays, layout: Layout, renderers: Renderers) -> list[Array]:
    """Return the model of each group of bands, (n_band, side, side) [uJy per pixel]."""
    found = []
    for group, own in zip(arrays["groups"], renderers, strict=True):
        bands = [{name: each[k] for name, each in group.items()} for k in range(len(own))]
        rows = [
            _image(theta, band, layout, renderer) for band, renderer in zip(bands, own, strict=True)
        ]
        found.append(jnp.stack(rows))
    return found


def _image(theta: Array, band: Band, layout: Layout, renderer: Any) -> Array:  # noqa: ANN401
    """Return the model of one band, sky included (side, side) [uJy per pixel]."""
    side = band["flux"].shape[-1]
    parts, sky = components(theta, band, layout)
    image = jnp.zeros(renderer.im_shape)
    for part in parts:
        draw = renderer.render_sersic if part.form == "sersic" else renderer.render_pointsource
        image = image + renderer.combine_scene(*draw(_numbers(part)))
    plane = image[:side, :side]
    for level, term in zip(sky, sky_terms(band, side=side), strict=False):
        plane = plane + level * term
    return plane


def _numbers(part: Component) -> dict[str, Array]:
    """Return a component by pysersic's parameters; its angles are from y to minus x."""
    if part.form == "point":
        return {"flux": part.flux, "xc": part.numbers[0], "yc": part.numbers[1]}
    x, y, xx, xy, yy, index = part.numbers
    mean, half = 0.5 * (xx + yy), 0.5 * jnp.hypot(xx - yy, 2 * xy)
    return {
        "flux": part.flux,
        "xc": x,
        "yc": y,
        "r_eff": jnp.sqrt(mean + half) / jnp.interp(index, _INDICES, _RADII),
        "ellip": 1 - jnp.sqrt((mean - half) / (mean + half)),
        "theta": 0.5 * jnp.arctan2(2 * xy, xx - yy) - 0.5 * jnp.pi,
        "n": jnp.clip(index, *INDEX_LIMITS),
    }
