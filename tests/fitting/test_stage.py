import numpy as np
import pytest
import xarray as xr

from pxdask.core.config import FitConfig
from pxdask.core.errors import ConfigError, DataError
from pxdask.fitting import FitStage, join_blocks
from pxdask.testing import check_stage, digest, fake_galaxy, library_of

GALAXY = fake_galaxy(rng=np.random.default_rng(2), n_model=200)
N_BIN = GALAXY.bins.sizes["bin"]


def stage(start=0, stop=N_BIN, *, config=None, models=GALAXY.models):
    return FitStage(
        config or FitConfig(), lambda _: library_of(models), {"n_models": 200}, start, stop
    )


def fitted(start=0, stop=N_BIN, **kwargs):
    return stage(start, stop, **kwargs).run(GALAXY.row, bins=GALAXY.bins)


@pytest.mark.parametrize("likelihood", ["gaussian", "student_t"])
def test_contract(likelihood):
    fit = check_stage(
        stage(3, 9, config=FitConfig(likelihood=likelihood)), GALAXY.row, {"bins": GALAXY.bins}
    )
    assert fit.sizes["bin"] == 6
    assert (fit.attrs["bin_start"], fit.attrs["bin_stop"]) == (3, 9)


@pytest.mark.parametrize("likelihood", ["gaussian", "student_t"])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_blocks_of_any_size_join_to_the_same_bytes(size, likelihood):
    config = FitConfig(likelihood=likelihood)
    blocks = [fitted(i, i + size, config=config) for i in range(0, N_BIN, size)]
    joined, whole = join_blocks(blocks), fitted(config=config)
    assert digest(joined) == digest(whole)
    assert list(joined.variables) == list(whole.variables)


def test_redshift_reaches_the_models():
    asked = []

    def models(redshift):
        asked.append(redshift)
        return library_of(GALAXY.models)

    FitStage(FitConfig(), models, {}, 0, 1).run(GALAXY.row, bins=GALAXY.bins)
    assert asked == [GALAXY.row["redshift"]]


def test_settings_are_those_a_bin_depends_on():
    one = stage(0, 5, config=FitConfig(block_size=5)).settings()
    assert one == stage(5, 10, config=FitConfig(block_size=7)).settings()
    assert one["models"] == {"n_models": 200}
    assert one["systematic_error"] == 0.05
    assert one != stage(config=FitConfig(dof=3.0)).settings()


def test_bands_in_another_order_are_refused():
    mixed = GALAXY.models.isel(band=[1, 0, 2, 3, 4])
    with pytest.raises(ConfigError, match=r"fake-1.*'fake_1', 'fake_0'.*same order"):
        fitted(models=mixed)


@pytest.mark.parametrize("redshift", [None, float("nan"), -0.1, 0.0, "far"])
def test_a_galaxy_without_redshift_is_named(redshift):
    with pytest.raises(DataError, match="fake-1: redshift is"):
        stage().run({"id": "fake-1", "redshift": redshift}, bins=GALAXY.bins)


def test_a_block_that_ends_before_it_starts_is_refused():
    with pytest.raises(ConfigError, match=r"\[5, 3\)"):
        stage(5, 3)


def test_a_bin_without_data_is_one_nan_row():
    bins = GALAXY.bins.copy(deep=True)
    bins["flux"].values[1] = np.nan
    fit = stage(0, 3).run(GALAXY.row, bins=bins)
    np.testing.assert_array_equal(np.isnan(fit["log_mass"][:, 1]), [False, True, False])


def test_blocks_out_of_order_are_refused():
    with pytest.raises(
        DataError, match="block 0 of the fit stops before bin 4, block 1 starts at 0"
    ):
        join_blocks([fitted(2, 4), fitted(0, 2)])


def test_blocks_of_different_fits_are_refused():
    other = fitted(2, 4, config=FitConfig(likelihood="student_t"))
    with pytest.raises(DataError, match=r"differ in \[\"attrs\['likelihood'\]\"\]"):
        join_blocks([fitted(0, 2), other])
    with pytest.raises(DataError, match="differ in \\['av'\\]"):
        join_blocks([fitted(0, 2), fitted(2, 4).drop_vars("av")])


def test_no_blocks_are_refused():
    with pytest.raises(DataError, match="at least one"):
        join_blocks(list[xr.Dataset]())
