"""How much memory a fit of many SEDs against a large library takes."""

import subprocess
import sys

import numpy as np
import pytest

from pxdask.core.config import FitConfig
from pxdask.fitting import RdspsFitter
from pxdask.testing import fake_models, library_of, seds_of

PEAK = """
import resource, sys
import numpy as np
from pxdask.core.config import FitConfig
from pxdask.fitting import RdspsFitter, Seds
from pxdask.testing import fake_models, library_of

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20

rng = np.random.default_rng(1)
models = fake_models(np.geomspace(1500, 46000, 6), n_model=1_000_000, rng=rng)
fit = RdspsFitter(FitConfig(max_memory=float(sys.argv[1]))).prepare(library_of(models))
flux = 1e9 * models["flux"].values[rng.integers(0, 1_000_000, 48)].astype(float)
limit = np.zeros(flux.shape, bool)
limit[:, 0] = sys.argv[2] == "limits"
seds = Seds(flux, flux / 4, tuple(("sed", i) for i in range(48)), upper_limit=limit)
fit.fit(seds.rows(0, 1))
before = peak()
fit.fit(seds)
print(peak() - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["plain", "limits"])
def test_what_a_fit_takes_besides_the_models_follows_the_memory_allowed(kind):
    grown = []
    for max_memory in (0.1, 2.0):
        command = [sys.executable, "-c", PEAK, str(max_memory), kind]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        grown.append(float(done.stdout))
        # a tenth of it for the search; the rest holds models
        assert grown[-1] < 0.2 * max_memory + 0.02
    assert grown[0] <= grown[1] + 0.02


@pytest.mark.slow
def test_seds_of_a_large_library_are_searched_together():
    models = fake_models(
        np.geomspace(1500, 46000, 3), n_model=2_000_000, rng=np.random.default_rng(1)
    )
    # a tenth of 1 GB holds three lists of all models, but more of the part that is listed
    prepared = RdspsFitter(FitConfig(max_memory=1.0)).prepare(library_of(models))
    assert prepared._group() == 3
    assert prepared._group(plain=True) > 10
    flux = 1e9 * models["flux"].values[:12].astype(float)
    snr = np.array([1.0, 5.0, 30.0, 200.0] * 3)[:, None]
    fit = prepared.fit(seds_of(flux, flux / snr))
    alone = prepared.fit(seds_of(flux[:1], flux[:1] / snr[:1]))
    for name in (name for name in fit.data_vars if "bin" in fit[name].dims):
        assert alone[name].values.tobytes() == fit[name].values[:1].tobytes(), name
