"""The made-up populations."""

import numpy as np

from pxdask.core.schema import SSP
from pxdask.sps import synthetic_ssp


def test_synthetic_populations_are_valid_and_say_what_they_are():
    ssp = SSP.validate(synthetic_ssp())
    assert ssp.attrs["library"] == "synthetic"
    assert dict(ssp.sizes)["wave"] == 300
    assert ssp.nbytes < 1e6
    for name in ("flux", "nebular"):
        assert np.all(np.isfinite(ssp[name].values))
        assert np.all(ssp[name].values >= 0)


def test_they_fade_and_redden_with_age():
    ssp = synthetic_ssp()
    width = np.diff(ssp["wave_edges"].values)
    light = np.sum(ssp["flux"].values.astype(float) * width, axis=-1)
    old = ssp["log_age"].values > 6
    assert np.all(np.diff(light[:, old], axis=1) < 0)
    colour = ssp["flux"].sel(wave=3600, method="nearest") / ssp["flux"].sel(
        wave=9000, method="nearest"
    )
    assert np.all(np.diff(colour.values[:, old], axis=1) < 0)
