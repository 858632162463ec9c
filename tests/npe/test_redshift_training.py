from dataclasses import replace

import numpy as np
import pytest

from pxdask.npe.mocks import make_mocks
from pxdask.npe.noise import broad_noise
from pxdask.npe.redshift_training import with_redshift_check
from tests.npe.small import BANDS, fit_settings, library, network

SPAN = (0.1, 2.0)


def models():
    """Return models of a range that colours tell apart."""
    return library(priors={"redshift": dict(zip(("low", "high"), SPAN, strict=True))})


def with_check(n_mocks):
    settings = fit_settings(n_mocks=n_mocks, snr=(1.0, 100.0))
    own = replace(network(redshift=SPAN), settings=settings.model_dump(mode="json"))
    return with_redshift_check(own, models()), settings


@pytest.mark.slow
def test_wrong_redshifts_are_told_from_true_ones():
    pytest.importorskip("jax")
    own, settings = with_check(40_000)
    made = models()
    mocks = make_mocks(made, broad_noise(BANDS), n=4000, seed=99, settings=settings)
    check = own.redshift_check
    assert check.span == SPAN
    good = check.ln_density(mocks.flux, mocks.error, redshift=mocks.redshift)
    rng = np.random.default_rng(2)
    wrong = check.ln_density(mocks.flux, mocks.error, redshift=rng.permutation(mocks.redshift))
    # the mean density of any redshifts is 1; 4,000 mocks tell it to 0.01
    assert np.mean(np.exp(wrong)) == pytest.approx(1, abs=0.04)
    # a density that is right is below a part p of the prior's in less than p of good SEDs
    for part in (0.3, 0.1, 0.03):
        assert np.mean(good < np.log(part)) < part + 0.01
    bright = np.nanmedian(mocks.flux / mocks.error, axis=1) > 10
    # what a short training on five bands learns: twice as many as of good SEDs at least
    assert np.mean(good[bright]) > 0.08
    assert np.mean(wrong[bright] < np.quantile(good[bright], 0.05)) > 0.1


@pytest.mark.slow
def test_the_same_mocks_give_the_same_check():
    pytest.importorskip("jax")
    one, other = (with_check(2000)[0].to_dataset()["redshift_weights"] for _ in range(2))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("redshift", [None, (0.15, 0.15)])
def test_a_network_that_is_told_no_redshift_of_a_range_has_none(redshift):
    own = replace(network(redshift=redshift), outliers={"plain": {}})
    assert with_redshift_check(own, library()) is own
