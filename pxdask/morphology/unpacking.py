"""Physical values of parameters, by source and band, from what was fitted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pxdask.morphology.parameters import PARAMETERS, SKY
from pxdask.morphology.transforms import values_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pxdask.morphology.scene import Scene

    Floats = NDArray[np.float64]


def unpack(theta: Floats, scene: Scene) -> dict[str, Floats]:
    """Return the physical values of parameters.

    Parameters
    ----------
    theta : (..., n_dim) float64
        Draws, or the best.
    scene : Scene
        What was fitted.

    Returns
    -------
    values : dict of (..., n_source, n_band) float64
        By name, in the units of `parameters.UNITS`; fitted bands only, in the order of
        ``scene.bands``. NaN for sources that have no such parameter; the sky is the first
        source's. ``theta`` is not brought into a range, so that draws stay together.
    """
    z = np.einsum("blp,...p->...bl", scene.of_band("design"), theta)
    layout = scene.layout
    low, high = scene.of_band("low"), scene.of_band("high")
    given = (scene.of_band("mean"), scene.of_band("std")) if layout.given else None
    values = values_of(z, low, high, kinds=layout.kinds, given=given)
    shape = (*theta.shape[:-1], len(layout.sources), len(scene.bands))
    found: dict[str, Floats] = {
        name: np.full(shape, np.nan) for name in (*PARAMETERS[layout.sources[0]], *SKY[layout.sky])
    }
    for i, (source, name) in enumerate(layout.local):
        if name not in found:
            found[name] = np.full(shape, np.nan)
        factor = 180 / np.pi if name.endswith("theta") else 1.0
        found[name][..., max(source, 0), :] = factor * values[..., i]
    if "point_flux" in found:
        found["flux"] = found["flux"] + np.nan_to_num(found["point_flux"])
    return found


def curve(theta: Floats, scene: Scene, name: str) -> Floats:
    """Return a linked parameter of the galaxy as a function of wavelength.

    Parameters
    ----------
    theta : (..., n_dim) float64
        Draws, or the best.
    scene : Scene
        What was fitted.
    name : str
        One of ``scene.curves``.

    Returns
    -------
    values : (..., n_wave) float64
        At ``scene.wave``.
    """
    z = theta[..., scene.columns[0, name]] @ scene.curves[name].T
    at = scene.layout.local.index((0, name))
    low, high = (float(scene.of_band(end)[0, at]) for end in ("low", "high"))
    given = None
    if scene.layout.given:
        given = (float(scene.of_band("mean")[0, at]), float(scene.of_band("std")[0, at]))
    kind = scene.layout.kinds[at]
    values = values_of(z[..., None], low, high, kinds=(kind,), given=given)[..., 0]
    return np.asarray(values * (180 / np.pi if name.endswith("theta") else 1.0), np.float64)
