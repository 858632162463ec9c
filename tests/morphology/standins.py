"""Profiles that no engine has fitted: for tests of what is made of them."""

import numpy as np
import xarray as xr

from pxdask.core.schema import MORPHOLOGY, QUANTILES
from tests.images.skies import grid

UNITS = {
    "flux": "uJy",
    "xc": "arcsec",
    "yc": "arcsec",
    "r_eff": "arcsec",
    "n": "",
    "ellip": "",
    "theta": "deg",
}
VALUES = {
    "flux": 50.0,
    "xc": 0.1,
    "yc": -0.2,
    "r_eff": 2.0,
    "n": 1.5,
    "ellip": 0.25,
    "theta": 170.0,
}
ERRORS = {
    "flux": 1.0,
    "xc": 0.01,
    "yc": 0.01,
    "r_eff": 0.1,
    "n": 0.05,
    "ellip": 0.02,
    "theta": 15.0,
}


def profiles(*, bands=("g", "r", "i"), sides=(12, 12, 8), n_neighbour=1, flags=0):
    """A morphology/1 dataset: values of VALUES, each band 10 % above the one before it."""
    side = max(sides)
    sources = ["galaxy", *(str(i + 1) for i in range(n_neighbour))]
    wave = np.linspace(4700.0, 7500.0, 7)
    step = 1.0 + 0.1 * np.arange(len(bands))
    data, error, model = (np.full((len(bands), side, side), np.nan, "f4") for _ in range(3))
    for i, own in enumerate(sides):
        model[i] = 1.0
        rng = np.random.default_rng(i)
        data[i, :own, :own] = 1.0 + 0.1 * rng.standard_normal((own, own))
        error[i, :own, :own] = 0.1
    data[0, 2, 3] = np.nan
    values = {}
    for name, value in VALUES.items():
        middle = np.broadcast_to(value * step, (len(sources), len(bands)))
        spread = ERRORS[name] * np.array([-1.0, 0.0, 1.0])
        attrs = {"units": UNITS[name], "long_name": name}
        values[name] = (("source", "band", "quantile"), middle[..., None] + spread, attrs)
        values[f"{name}_mean"] = (("source", "band"), middle + 0.0, attrs)
        values[f"{name}_std"] = (("source", "band"), np.full(middle.shape, ERRORS[name]), attrs)
        values[f"{name}_best"] = (("source", "band"), middle + 0.0, attrs)
    for name in ("r_eff", "n", "ellip"):
        curve = np.broadcast_to(
            VALUES[name] + ERRORS[name] * np.array([-1.0, 0.0, 1.0]), (len(sources), 7, 3)
        )
        dims = ("source", "wave", "quantile")
        values[f"{name}_curve"] = (dims, curve.copy(), {"units": UNITS[name], "long_name": name})
    own = {
        "data": (("band", "y", "x"), data),
        "error": (("band", "y", "x"), error),
        "model": (("band", "y", "x"), model),
        "wcs": ("band", np.array([grid(0.5, own).wcs for own in sides], dtype=object)),
        "pixel_scale": ("band", np.full(len(bands), 0.5)),
        "chi2": ("band", np.linspace(0.9, 1.1, len(bands))),
        "n_pix": ("band", np.array([n * n for n in sides], np.int32)),
        "snr": (("source", "band"), np.full((len(sources), len(bands)), 50.0)),
        "n_steps": ((), np.int32(9)),
        "flags": ("source", np.full(len(sources), flags, np.uint16)),
    }
    values |= {name: (*pair, MORPHOLOGY.attrs(name)) for name, pair in own.items()}
    coords = {
        "band": ("band", np.array(bands, dtype=object), MORPHOLOGY.attrs("band")),
        "pivot_wave": (
            "band",
            np.linspace(4700.0, 7500.0, len(bands)),
            MORPHOLOGY.attrs("pivot_wave"),
        ),
        "source": ("source", np.array(sources, dtype=object), MORPHOLOGY.attrs("source")),
        "wave": ("wave", wave, MORPHOLOGY.attrs("wave")),
        "quantile": ("quantile", np.array(QUANTILES), MORPHOLOGY.attrs("quantile")),
    }
    return MORPHOLOGY.validate(xr.Dataset(values, coords, {"schema": MORPHOLOGY.tag}))


def fit_nothing(ready, *, config, seed):
    """A stand-in of `fit_galaxies`: the values above for each galaxy, with its own bands."""
    del config, seed
    return [
        profiles(bands=tuple(stamps.bands), sides=[s.sizes["x"] for s in stamps.bands.values()])
        for _, stamps in ready
    ]
