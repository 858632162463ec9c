"""Model sets, at one redshift, at many, or each at its own; spectra sets and their photometry."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pxdask.core.cosmology import age_of_universe, luminosity_distance
from pxdask.core.errors import ConfigError, DataError
from pxdask.core.models import ModelConfig, UniformPrior
from pxdask.core.schema import MODEL_GRID, MODELS, SPECTRA
from pxdask.sps import PhotometryEngine, make_model_set, resolve_priors
from pxdask.sps.model_grid import at_redshift, make_model_grid
from pxdask.sps.model_set import check_models
from pxdask.sps.redshifts import FREE_STEP, interpolated, redshift_nodes
from pxdask.sps.spectra_set import make_spectra_set, photometry_of

SETTINGS = ModelConfig(n_models=300, priors={"dust2": UniformPrior(low=0.5, high=1.0)})
FREE = ModelConfig(
    n_models=400,
    priors={"redshift": UniformPrior(low=0.3, high=0.33), "log_age": UniformPrior(high=1.2)},
)
EVERYTHING = ModelConfig(
    n_models=300,
    sfh="double_power_law",
    dust="charlot_fall",
    dust_emission=True,
    agn=True,
    sampling="random",
    derived=(
        *("log_mass_formed", "log_sfr_10myr", "log_mw_age", "lookback_50", "av"),
        *("log_dustmass", "log_dust_luminosity", "log_fagn_bol"),
    ),
    priors={
        "gas_logu": {"kind": "gaussian", "mean": -2.5, "sigma": 0.3},
        "logzsol": {
            "kind": "joint_with_mass",
            "log_mass": [9, 11],
            "mean": [-1, 0],
            "sigma": [1, 1],
        },
    },
)


def made(ssp, bands, *, seed=1, chosen=SETTINGS, redshift=0.2, **rows):
    return make_model_set(ssp, bands, redshift=redshift, settings=chosen, seed=seed, **rows)


def values(models, names):
    return {name: models[name].values for name in names}


@pytest.mark.parametrize("chosen", [SETTINGS, EVERYTHING], ids=["default", "everything"])
def test_model_set_is_what_the_engine_computes(ssp, bands, chosen):
    models = MODELS.validate(made(ssp, bands, chosen=chosen))
    assert list(models["band"].values) == [band.name for band in bands]
    engine = PhotometryEngine(ssp, bands, redshift=0.2, settings=chosen)
    parameters = values(models, engine.parameters)
    np.testing.assert_array_equal(models["flux"].values, engine.flux(parameters))
    derived = engine.derived(parameters)
    assert set(models.data_vars) == {"flux", *parameters, *derived}
    for name, value in derived.items():
        np.testing.assert_array_equal(models[name].values, value)


def test_it_tells_how_it_was_made(ssp, bands):
    models = made(ssp, bands, chosen=EVERYTHING)
    attrs = json.loads(json.dumps(models.attrs))  # plain JSON
    assert attrs["redshift"] == 0.2
    assert attrs["seed"] == 1
    assert attrs["sfh"] == "double_power_law"
    assert ModelConfig.model_validate(attrs["settings"]) == EVERYTHING
    assert attrs["parameters"] == list(resolve_priors(EVERYTHING, redshift=0.2))
    assert attrs["priors"]["gas_logu"]["kind"] == "gaussian"
    assert (attrs["priors"]["gas_logu"]["low"], attrs["priors"]["gas_logu"]["high"]) == (-4, -1)
    assert attrs["ssp"]["library"] == "synthetic"


def test_what_is_per_mass_says_as_what_it_is_reported(ssp, bands):
    models = made(ssp, bands, chosen=EVERYTHING)
    found = {
        name: models[name].attrs["reported_as"]
        for name in models.data_vars
        if "reported_as" in models[name].attrs
    }
    assert found == {
        "surviving": "log_mass",
        "formed": "log_mass_formed",
        "sfr": "log_sfr",
        "sfr_10myr": "log_sfr_10myr",
        "dust_mass": "log_dustmass",
        "dust_luminosity": "log_dust_luminosity",
    }


def test_draws_fill_the_priors_evenly(ssp, bands):
    models = made(ssp, bands)
    for name, prior in resolve_priors(SETTINGS, redshift=0.2).items():
        share = (models[name].values - prior.low) / (prior.high - prior.low)
        assert models.sizes["model"] == 300
        assert np.all((share >= 0) & (share <= 1))
        counts = np.histogram(share, bins=10, range=(0, 1))[0]
        # 256 Sobol points put 25 or 26 in each tenth; the other 44 may add up to 8
        assert np.all((counts >= 25) & (counts <= 35))


@pytest.mark.parametrize("chosen", [SETTINGS, EVERYTHING, FREE], ids=["one", "all", "free"])
@pytest.mark.parametrize(("start", "stop"), [(0, 1), (255, 258), (290, 300), (5, 5)])
def test_a_model_is_the_same_in_any_slice(ssp, bands, chosen, start, stop):
    whole = made(ssp, bands, chosen=chosen)
    part = made(ssp, bands, chosen=chosen, start=start, stop=stop)
    assert part.sizes["model"] == stop - start
    assert part.attrs == whole.attrs
    for name in whole.data_vars:
        np.testing.assert_array_equal(part[name].values, whole[name].values[start:stop])


def test_draws_depend_on_the_seed_alone(ssp, bands):
    first, again, other = (made(ssp, bands, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first["flux"].values, again["flux"].values)
    assert not np.array_equal(first["log_age"].values, other["log_age"].values)
    far = made(ssp, bands, redshift=0.7)
    for name in ("log_tau", "logzsol", "dust2"):
        np.testing.assert_array_equal(far[name].values, first[name].values)
    more = made(ssp, bands, chosen=SETTINGS.model_copy(update={"n_models": 500}))
    np.testing.assert_array_equal(more["flux"].values[:300], first["flux"].values)


@pytest.mark.parametrize("n_models", [1, 2, 3])
def test_few_models_and_one_band(ssp, bands, n_models):
    models = made(ssp, bands[:1], chosen=ModelConfig(n_models=n_models))
    assert models["flux"].shape == (n_models, 1)


def test_faults_are_named(ssp, bands):
    with pytest.raises(ConfigError, match="need a redshift"):
        made(ssp, bands, redshift=None)
    with pytest.raises(ConfigError, match=r"models \[7, 5\)"):
        made(ssp, bands, start=7, stop=5)
    beyond = ModelConfig(n_models=50, priors={"logzsol": UniformPrior(low=-2.5, high=0)})
    with pytest.raises(ConfigError, match=r"logzsol: -2\.\d+ .* is not within \[-2, 0\.5\] dex"):
        made(ssp, bands, chosen=beyond)


def test_settings_are_checked_before_any_galaxy(ssp):
    check_models(ssp, EVERYTHING)
    check_models(ssp, FREE)
    check_models(ssp, ModelConfig(sfh="continuity"))
    beyond = {
        "logzsol": UniformPrior(low=-2.5, high=0),
        "gas_logu": UniformPrior(low=-3, high=0.5),
    }
    wide = ModelConfig(priors=beyond, derived=("av",))
    with pytest.raises(ConfigError) as caught:
        check_models(ssp, wide)
    assert "logzsol: [-2.5, 0] goes beyond the populations' [-2, 0.5] dex" in str(caught.value)
    assert "gas_logu: [-3, 0.5] goes beyond the populations' [-4, 0] dex" in str(caught.value)
    with pytest.raises(ConfigError, match="log_dustmass"):
        check_models(ssp, ModelConfig(derived=("log_dustmass",)))
    with pytest.raises(ConfigError, match="'dust9' is not"):
        check_models(ssp, ModelConfig(priors={"dust9": UniformPrior(low=0, high=1)}))


def test_free_redshift_is_near_the_exact_fluxes(ssp, bands):
    models = MODELS.validate(made(ssp, bands, chosen=FREE, redshift=None))
    assert models.attrs["redshift"] == "free"
    redshift = models["redshift"].values
    assert np.all((redshift >= 0.3) & (redshift <= 0.33))
    worst = 0.0
    for i in range(0, 400, 20):
        engine = PhotometryEngine(ssp, bands, redshift=redshift[i], settings=ModelConfig())
        one = {name: models[name].values[i : i + 1] for name in engine.parameters}
        oldest = np.log10(age_of_universe(FREE, redshift=redshift[i]))
        one["log_age"] = np.minimum(one["log_age"], oldest)  # it may be above by 1e-8
        exact = engine.flux(one)[0]
        bright = exact > 1e-3 * exact.max()
        worst = max(worst, np.max(np.abs(models["flux"].values[i] / exact - 1)[bright]))
        for name, value in engine.derived(one).items():
            np.testing.assert_allclose(models[name].values[i], value[0], rtol=1e-6)
    # smooth made-up stars, but lines with bins of 0.6 % cross filter edges: measured 0.3 %
    assert worst < 0.01


def test_time_bins_end_with_the_universe_of_the_next_node(ssp, bands):
    chosen = ModelConfig(
        sfh="continuity", n_models=20, priors={"redshift": UniformPrior(low=0.3, high=0.3001)}
    )
    models = made(ssp, bands, chosen=chosen)
    mean_age = 10 ** models["log_mw_age"].values
    assert np.all(mean_age < age_of_universe(chosen, redshift=0.3001))


def test_nodes_of_free_redshift_by_hand():
    # ln(1.5 / 1.4) = 0.069: 14 steps of 0.00493
    nodes = redshift_nodes(UniformPrior(low=0.4, high=0.5))
    assert nodes.size == 15
    assert (nodes[0], nodes[-1]) == (0.4, 0.5)
    steps = np.diff(np.log1p(nodes))
    np.testing.assert_allclose(steps, steps[0], rtol=1e-9)
    assert steps[0] <= FREE_STEP


@settings(max_examples=30)
@given(st.floats(1e-3, 6), st.floats(1e-3, 0.1), st.floats(0, 1))
def test_what_goes_as_the_inverse_square_of_distance_is_interpolated_exactly(low, step, share):
    ends = low, float(np.expm1(np.log1p(low) + step))
    z = np.clip(low + share * (ends[1] - low), *ends)
    fluxes = tuple(
        np.full((2, 1), 1e3 / luminosity_distance(SETTINGS, redshift=end) ** 2, np.float32)
        for end in ends
    )
    many = interpolated(fluxes, ends, np.array([z, z]), settings=SETTINGS)
    one = interpolated(fluxes, ends, float(z), settings=SETTINGS)
    exact = 1e3 / luminosity_distance(SETTINGS, redshift=float(z)) ** 2
    # float32 in and out: 6e-8 each
    np.testing.assert_allclose(many, exact, rtol=3e-7)
    np.testing.assert_allclose(one, exact, rtol=3e-7)


REDSHIFTS = (0.20, 0.21, 0.22)


def grid_of(ssp, bands, chosen=SETTINGS, **rows):
    return make_model_grid(ssp, bands, redshifts=REDSHIFTS, settings=chosen, seed=1, **rows)


@pytest.mark.parametrize("sfh", ["delayed_tau", "dirichlet"])
def test_grid_at_its_redshifts_is_what_the_engine_computes(ssp, bands, sfh):
    chosen = SETTINGS.model_copy(update={"sfh": sfh})
    grid = MODEL_GRID.validate(grid_of(ssp, bands, chosen))
    universe = age_of_universe(chosen, redshift=0.22)
    for redshift in REDSHIFTS:
        engine = PhotometryEngine(ssp, bands, redshift=redshift, settings=chosen, universe=universe)
        models = MODELS.validate(at_redshift(grid, redshift))
        parameters = values(models, engine.parameters)
        np.testing.assert_array_equal(models["flux"].values, engine.flux(parameters))
        assert models.attrs["redshift"] == redshift
        for name, value in engine.derived(parameters).items():
            np.testing.assert_array_equal(models[name].values, value)


def test_nothing_in_a_grid_is_older_than_its_youngest_universe(ssp, bands):
    grid = grid_of(ssp, bands, ModelConfig(n_models=64))
    oldest = np.log10(age_of_universe(SETTINGS, redshift=0.22))
    assert oldest - 0.1 < grid["log_age"].values.max() <= oldest


def test_slices_of_a_grid(ssp, bands):
    whole, part = grid_of(ssp, bands), grid_of(ssp, bands, start=100, stop=110)
    np.testing.assert_array_equal(part["flux"].values, whole["flux"].values[:, 100:110])
    empty = grid_of(ssp, bands, start=0, stop=0)
    assert empty["flux"].shape == (3, 0, len(bands))
    assert set(empty.variables) == set(whole.variables)


def test_between_redshifts_of_a_grid(ssp, bands):
    grid = grid_of(ssp, bands)
    exact = PhotometryEngine(
        ssp,
        bands,
        redshift=0.205,
        settings=SETTINGS,
        universe=age_of_universe(SETTINGS, redshift=0.22),
    )
    flux = exact.flux(values(grid, exact.parameters))
    bright = flux > 1e-3 * flux.max(axis=1, keepdims=True)
    got = at_redshift(grid, 0.205)["flux"].values
    error = np.abs(got / flux - 1)[bright]
    # a step of 0.008 in ln(1 + z); lines of the made-up gas cross edges: see above
    assert np.max(error) < 0.02
    assert np.median(error) < 5e-4
    # fluxes alone, without distances, would be wrong by the change of distance over a node
    assert np.max(np.abs(grid["flux"].values[0] / flux - 1)[bright]) > 0.04


@pytest.mark.parametrize("redshift", [0.19, 0.2201, np.nan])
def test_outside_a_grid(ssp, bands, redshift):
    grid = grid_of(ssp, bands, start=0, stop=2)
    with pytest.raises(DataError, match=r"outside the models' grid, \[0\.2, 0\.22\]"):
        at_redshift(grid, redshift)


@pytest.mark.parametrize("redshifts", [(), (0.1,), (0.2, 0.1), (0.1, 0.1), (0.0, 0.1), (np.nan, 1)])
def test_redshifts_that_are_no_grid(ssp, bands, redshifts):
    with pytest.raises(ConfigError, match="two or more, positive and increasing"):
        make_model_grid(ssp, bands, redshifts=redshifts, settings=SETTINGS, seed=1)


def test_free_redshift_in_a_grid_is_refused(ssp, bands):
    with pytest.raises(ConfigError, match="leaves none free"):
        grid_of(ssp, bands, FREE)
    with pytest.raises(ConfigError, match="have none"):
        make_spectra_set(ssp, settings=FREE, seed=1)


@pytest.mark.parametrize("redshift", [0.02, 1.5])
def test_photometry_of_spectra_is_that_of_the_engine(ssp, bands, redshift):
    chosen = EVERYTHING.model_copy(update={"n_models": 40})
    spectra = SPECTRA.validate(make_spectra_set(ssp, settings=chosen, seed=1, redshift=redshift))
    models = MODELS.validate(photometry_of(spectra, bands, redshift=redshift, settings=chosen))
    engine = PhotometryEngine(ssp, bands, redshift=redshift, settings=chosen)
    exact = engine.exact_flux(values(models, engine.parameters))
    # the same sums over the same spectra, stored in float32: 1e-7, or 1e-45 beyond the Lyman limit
    np.testing.assert_allclose(models["flux"].values, exact, rtol=1e-6, atol=1e-44)
    for name, value in engine.derived(values(models, engine.parameters)).items():
        np.testing.assert_array_equal(models[name].values, value)
    assert models["surviving"].attrs["reported_as"] == "log_mass"
    assert models.attrs["redshift"] == redshift


@pytest.mark.parametrize(("start", "stop"), [(0, 10), (250, 300), (299, 300), (7, 7)])
def test_a_spectrum_is_the_same_in_any_slice(ssp, start, stop):
    whole = make_spectra_set(ssp, settings=SETTINGS, seed=1)
    part = make_spectra_set(ssp, settings=SETTINGS, seed=1, start=start, stop=stop)
    for name in ("flux", "log_age", "surviving"):
        np.testing.assert_array_equal(part[name].values, whole[name].values[start:stop])


def test_filter_beyond_the_spectra(ssp, bands):
    spectra = make_spectra_set(ssp, settings=SETTINGS, seed=1, start=0, stop=2)
    cut = spectra.isel(wave=slice(0, 1000), edge=slice(0, 1001))
    with pytest.raises(ConfigError, match="'s250' spans"):
        photometry_of(cut, bands, redshift=0.1, settings=SETTINGS)
