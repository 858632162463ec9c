import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxdask.core.config import FitConfig
from pxdask.core.flags import Flag
from pxdask.core.schema import FIT
from pxdask.fitting import FitStage, join_blocks
from pxdask.fitting.npe_redshift import LEAST, LIMIT, shared_ratio, with_shared_redshift
from pxdask.fitting.npe_trust import Training, Trust
from pxdask.fitting.outliers import OutlierLimit
from pxdask.fitting.target import Sampled
from pxdask.npe.density import Shape, make_classes, weight_shapes
from pxdask.npe.features import n_inputs
from pxdask.npe.noise import broad_noise
from pxdask.npe.redshift_check import RedshiftCheck
from pxdask.testing import digest, fake_galaxy, library_of, seds_of
from tests.fitting.npe_stand_in import StandIn, StandInFitter
from tests.fitting.small import fit_settings, small_library

GALAXY = fake_galaxy(rng=np.random.default_rng(2), n_model=200)
N_BIN = GALAXY.bins.sizes["bin"]
ODD = int(Flag.ODD_REDSHIFT)
RATIO = st.one_of(st.floats(-60, 6), st.just(math.nan))
RATIOS = st.lists(RATIO, min_size=2, max_size=9)


def blocks(ratio, *, size=N_BIN, bins=GALAXY.bins):
    """Return a galaxy's fit in blocks, with ratios of its first bins, and NaN of the others."""
    every = np.append(ratio, np.full(N_BIN - len(ratio), np.nan))
    found = []
    for start in range(0, N_BIN, size):
        part = slice(start, start + size)
        stage = FitStage(FitConfig(), lambda _: library_of(GALAXY.models), {}, start, part.stop)
        fit = stage.run(GALAXY.row, bins=bins)
        own = ("bin", every[part], FIT.attrs("redshift_ratio"))
        found.append(fit.assign(redshift_ratio=own))
    return found


def test_a_sum_by_hand():
    # ln 20 = 2.995732
    assert shared_ratio(np.array([1.0, -50.0, math.nan, -1.5])) == pytest.approx(-3.495732)
    assert shared_ratio(np.array([1.0, -2.0, 3.5])) == 2.5


def test_no_sed_and_one():
    for ratio in ([], [math.nan, math.nan]):
        assert math.isnan(shared_ratio(np.array(ratio)))
    # one alone makes nothing odd, whatever it says, nor beside others that say nothing
    assert shared_ratio(np.array([math.nan, -50.0, 0.0])) == LIMIT


@given(RATIOS, RATIO)
def test_an_sed_more_counts_as_far_as_it_is_known_and_little_against(ratios, more):
    one, both = shared_ratio(np.array(ratios)), shared_ratio(np.array([more, *ratios]))
    if math.isnan(more):
        assert one == both or (math.isnan(one) and math.isnan(both))
    elif not math.isnan(one):
        # of sums of ten numbers below 60
        assert both - one == pytest.approx(max(more, LEAST), abs=1e-12)


@pytest.mark.statistical
def test_ratios_that_are_right_call_few_good_ones_odd_and_most_wrong_ones():
    """Two redshifts, equally likely, at which a colour is 0 or 2.5, with an error of one."""
    rng = np.random.default_rng(4)
    colour = rng.standard_normal((4000, 10))
    right, wrong = (
        -np.log(0.5 * (1 + np.exp(sign * 2.5 * (colour - 1.25)))) for sign in (1.0, -1.0)
    )
    totals = np.apply_along_axis(shared_ratio, 1, right)
    for least in (-0.5, -1.0, -2.0, LIMIT):
        # Markov's bound, which holds of what is cut off too
        assert np.mean(totals < least) < math.exp(least)
    # the mean of ten colours is 7.9 sigma from where it is at the other redshift
    assert np.mean(np.apply_along_axis(shared_ratio, 1, wrong) < LIMIT) > 0.99


@pytest.mark.parametrize(
    ("ratio", "odd"), [([1.0, -50.0, -1.5], True), ([1.0, -50.0, -0.5], False)]
)
def test_bins_of_a_galaxy_are_flagged_together(ratio, odd):
    bins = GALAXY.bins.copy(deep=True)
    bins["flux"].values[4] = np.nan
    (alone,) = blocks(ratio, bins=bins)
    before = alone.copy(deep=True)
    joined = join_blocks([alone])
    assert digest(alone) == digest(before)
    assert joined.attrs["redshift_ratio"] == pytest.approx(LEAST - 0.5 if odd else LEAST + 0.5)
    np.testing.assert_array_equal(joined["flags"], alone["flags"].values | (ODD if odd else 0))
    assert joined["flags"].values[4] == int(Flag.NOT_FITTED) | (ODD if odd else 0)
    assert joined["flags"].attrs == alone["flags"].attrs
    np.testing.assert_array_equal(joined["log_mass"], alone["log_mass"])
    # to join again changes nothing
    assert digest(with_shared_redshift(joined)) == digest(joined)


@pytest.mark.parametrize("size", [1, 7])
def test_blocks_of_any_size_tell_the_same(size):
    ratio = [0.5, -9.0, 1.0, math.nan, -1.75]
    assert digest(join_blocks(blocks(ratio, size=size))) == digest(join_blocks(blocks(ratio)))


def test_what_tells_nothing_is_left_as_it_is():
    (none,) = blocks([])
    assert join_blocks([none]).attrs == none.attrs
    without = none.drop_vars("redshift_ratio")
    assert digest(join_blocks([without])) == digest(without)


def check_at(library, *, near):
    """Return a check that is certain, whatever the fluxes, of redshifts near the library's."""
    shape = Shape(n_inputs(len(library.bands), redshift=False), 1, 4, 2, 8, 1)
    weights = {k: np.zeros(dims, np.float32) for k, dims in weight_shapes("classes", shape).items()}
    weights["last_bias"][slice(4) if near else slice(4, 8)] = 10
    return RedshiftCheck((0.0, 1.0), make_classes(shape, weights))


@pytest.mark.parametrize("near", [True, False])
@pytest.mark.parametrize("reweight", [True, False])
def test_a_fit_tells_of_each_sed_what_the_check_does(near, reweight):
    npe = {"hand_over": "rdsps", "max_rounds": 1, "reweight": reweight, "min_efficiency": 0.02}
    chosen, library = fit_settings(method="npe", npe=npe), small_library()
    flux = 1e9 * library.draw()["flux"].values[:5].astype(float)
    snr = np.array([[3.0], [300.0], [3.0], [3.0], [3.0]])
    error = np.abs(flux) / snr
    flux = flux + error * np.random.default_rng(5).standard_normal(flux.shape)
    flux[2] = np.nan
    # two bands: no mock had so few
    flux[3, :3] = np.nan
    sampled = Sampled(chosen, library)
    training = Training(broad_noise(library.bands), (1.0, 1000.0), 0.3)
    trust = Trust(sampled, OutlierLimit(), training, check_at(library, near=near))
    models = replace(StandInFitter(chosen).prepare(library), network=StandIn(sampled), trust=trust)
    fit = models.fit(seds_of(flux, error))
    handed = (fit["flags"].values & int(Flag.HANDED_OVER)) > 0
    assert handed[1]
    # four of eight classes have a quarter each, the others e^-10 of that; 0.1 is in the second
    width = 2 ** (2 / 8) - 2 ** (1 / 8)
    want = math.log(0.25 / width) - (0 if near else 10)
    known = [True, True, False, False, True]
    np.testing.assert_array_equal(np.isfinite(fit["redshift_ratio"]), known)
    # e^-10 of the probability is elsewhere
    np.testing.assert_allclose(fit["redshift_ratio"].values[known], want, atol=1e-4)
    assert np.all((with_shared_redshift(fit)["flags"].values & ODD > 0) != near)
