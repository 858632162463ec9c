import numpy as np
from scipy.special import chdtri

from pxdask.fitting.downhill import nearest
from pxdask.fitting.npe_draws import in_units
from pxdask.fitting.target import Observed, Sampled
from tests.fitting.small import fit_settings, small_library


def units(flux, error):
    return in_units(Observed(flux, error, np.zeros(flux.shape, bool)))


def test_downhill_reaches_models_of_the_library():
    library = small_library()
    simulator = Sampled(fit_settings(), library).simulator
    truth = np.random.default_rng(2).uniform(0.1, 0.9, (20, simulator.n_dim))
    flux = 1e9 * simulator.simulate(truth).flux.astype(float)
    seds = units(flux, flux / 50)
    start = np.clip(truth + 0.1, 0.05, 0.95)
    sed = np.arange(20)

    def models(unit):
        return simulator.simulate(unit).flux

    found = nearest(seds, models, start, sed=sed)
    # 5 bands and 4 parameters at S/N 50: all but a few in a side valley come within noise
    assert np.mean(found.chi2 < 0.5) >= 0.9
    np.testing.assert_allclose(found.scale[found.chi2 < 1e-4], 1e9, rtol=0.2)
    alone = nearest(seds, models, start[7:8], sed=sed[7:8])
    np.testing.assert_array_equal(alone.unit, found.unit[7:8])
    # a spike in one band cannot be reached
    flux[:, 2] *= 3
    far = nearest(units(flux, flux / 50), models, start, sed=sed)
    assert np.all(far.chi2 > chdtri(5, 1e-6))
