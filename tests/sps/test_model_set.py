"""Model sets."""

import numpy as np
import pytest

from pxdask.core.config import ModelConfig, PriorConfig
from pxdask.core.schema import MODELS
from pxdask.sps import PhotometryEngine, make_model_set, resolve_priors

SETTINGS = ModelConfig(n_models=300, priors={"dust2": PriorConfig(low=0.5, high=1.0)})


def _made(ssp, bands, *, seed=1, settings=SETTINGS):
    rng = np.random.default_rng(seed)
    return make_model_set(ssp, bands, redshift=0.2, settings=settings, rng=rng)


def test_model_set_is_what_the_engine_computes(ssp, bands):
    models = MODELS.validate(_made(ssp, bands))
    assert list(models["band"].values) == [band.name for band in bands]
    engine = PhotometryEngine(ssp, bands, redshift=0.2, settings=SETTINGS)
    parameters = {name: models[name].values for name in engine.parameters}
    np.testing.assert_array_equal(models["flux"].values, engine.flux(parameters))
    for name, value in engine.derived(parameters).items():
        np.testing.assert_array_equal(models[name].values, value)
    assert models.attrs["redshift"] == 0.2
    assert models.attrs["ssp"]["library"] == "synthetic"


def test_draws_fill_the_priors_evenly(ssp, bands):
    models = _made(ssp, bands)
    for name, (low, high) in resolve_priors(SETTINGS, redshift=0.2).items():
        share = (models[name].values - low) / (high - low)
        assert models.sizes["model"] == 300
        assert np.all((share >= 0) & (share <= 1))
        counts = np.histogram(share, bins=10, range=(0, 1))[0]
        # 256 Sobol points put 25 or 26 in each tenth; the other 44 may add up to 8
        assert np.all((counts >= 25) & (counts <= 35))
        assert list(models.attrs["priors"][name]) == [low, high]


def test_same_stream_same_models(ssp, bands):
    first, again, other = (_made(ssp, bands, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first["flux"].values, again["flux"].values)
    assert not np.array_equal(first["log_age"].values, other["log_age"].values)


@pytest.mark.parametrize("n_models", [1, 2, 3])
def test_few_models(ssp, bands, n_models):
    models = _made(ssp, bands, settings=ModelConfig(n_models=n_models))
    assert models.sizes["model"] == n_models
