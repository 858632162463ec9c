import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from pxdask.core.bandpass import Filter
from pxdask.core.errors import DataError
from pxdask.core.schema import QUANTILES
from pxdask.simulate.recovery import (
    MASSES,
    estimates,
    paper_approaches,
    paper_mocks,
    paper_models,
    recovery,
)
from pxdask.sps import synthetic_ssp
from pxdask.sps.priors import resolve_priors


def test_recovery_by_hand():
    true = np.array([1.0, 2.0, 3.0, np.nan, 5.0])
    found = np.array([1.1, 2.3, 3.2, 4.0, np.nan])
    got = recovery("log_mass", true=true, found=found)
    assert got.offset == pytest.approx(0.2)
    assert got.scatter == pytest.approx(np.sqrt(0.02 / 3))
    assert got.rank == pytest.approx(1)
    with pytest.raises(DataError, match="2 galaxies fitted"):
        recovery("log_mass", true=true[:2], found=found[:2])


def test_depths_are_compared_by_their_logarithm():
    true = np.array([0.1, 1.0, 2.0, 0.0])
    got = recovery("dust2", true=true, found=np.array([1.0, 0.1, 20.0, 1e-3]))
    assert got.offset == pytest.approx((1 - 1 + 1 + 0) / 4)


@given(st.floats(-3, 3), st.permutations(range(6)))
def test_a_constant_error_is_all_offset(shift, order):
    true = np.array([0.1, 0.5, 0.7, 1.0, 1.5, 3.0])[list(order)]
    got = recovery("logzsol", true=true, found=true + shift)
    assert got.offset == pytest.approx(shift, abs=1e-12)
    assert got.scatter == pytest.approx(0, abs=1e-12)
    assert got.rank == pytest.approx(1)


def test_estimates_are_means_or_medians():
    fit = xr.Dataset(
        {
            "log_mass": (("bin", "quantile"), [[9.0, 10.0, 12.0]]),
            "log_mass_mean": ("bin", [10.5]),
        },
        coords={"quantile": np.array(QUANTILES)},
    )
    assert estimates(fit, names=["log_mass"], estimate="mean")["log_mass"] == [10.5]
    assert estimates(fit, names=["log_mass"], estimate="median")["log_mass"] == [10.0]


def test_there_are_the_eight_approaches():
    approaches = paper_approaches()
    assert list(approaches) == [
        "gauss", "stdt_dof03", "stdt_dof1", "stdt_dof2", "stdt_dof3", "stdt_dof5", "stdt_dof10",
        "mcmc",
    ]  # fmt: skip
    assert [one.fit.dof for one in approaches.values()][1:7] == [0.3, 1, 2, 3, 5, 10]
    assert {one.fit.likelihood for name, one in approaches.items() if "stdt" in name} == {
        "student_t"
    }
    assert approaches["mcmc"].fit.method == "mcmc"
    assert approaches["mcmc"].fit.likelihood == "gaussian"
    assert not any(one.fit.systematic_error for one in approaches.values())


def test_models_have_six_free_parameters():
    assert len(resolve_priors(paper_models(), redshift=0.001)) == 6


def test_few_mocks_are_a_sample_of_all():
    ssp = synthetic_ssp(n_wave=500)
    band = Filter("r", np.array([5500.0, 6000, 6500, 7000]), np.array([0.0, 1, 1, 0]))
    mocks = paper_mocks(ssp, (band,), n_galaxy=30, seed=1)
    edges = [*(low for low, _ in MASSES), 11.5]
    counts, _ = np.histogram(mocks.truth["log_mass"], edges)
    np.testing.assert_array_equal(counts, [10, 8, 6, 4, 2])
    assert mocks.flux.shape == (30, 1)
    assert np.all((mocks.truth["dust2"] >= 0) & (mocks.truth["dust2"] <= 2.5))
    again = paper_mocks(ssp, (band,), n_galaxy=30, seed=1)
    np.testing.assert_array_equal(mocks.flux, again.flux)
    plain = paper_mocks(ssp, (band,), n_galaxy=30, seed=1, bursts=(0.0, 0.0), enrichment=False)
    np.testing.assert_array_equal(plain.truth["log_mass"], mocks.truth["log_mass"])
    assert np.all(plain.flux != mocks.flux)
