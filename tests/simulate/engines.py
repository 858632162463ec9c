"""A double of the photometry engine: laws simple enough to check by hand."""

import numpy as np


class ToyEngine:
    """Younger is brighter and bluer, dust reddens; half the mass survives."""

    def __init__(self, n_band):
        self.n_band = n_band

    def flux(self, parameters):
        """Return flux per mass [uJy Msun-1]."""
        red = np.linspace(0.0, 1.0, self.n_band)
        age = 10.0 ** parameters["log_age"][:, None]
        dust = np.exp(-parameters["dust2"][:, None] * (1.5 - red))
        return (1e-6 * age ** (-2.0 + red) * dust).astype(np.float32)

    def derived(self, parameters):
        """Return what follows from the parameters."""
        return {
            "surviving": np.full(parameters["log_age"].shape, 0.5),
            "sfr": 10.0 ** (-9.0 - parameters["log_age"]),
            "log_mw_age": parameters["log_age"] - 0.2,
            "av": 1.086 * parameters["dust2"],
        }
