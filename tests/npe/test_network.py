from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxdask.core.bandpass import Filter
from pxdask.core.errors import ConfigError, DataError, SchemaError
from pxdask.core.schema import NETWORK
from pxdask.io.stores import publish, read
from pxdask.npe.network import Network
from tests.fitting.small import filters
from tests.npe.small import BANDS, NAMES, fit_settings, library, member, network

FLUX = np.array([[3.0, 4.0, 8.0, 9.0, 7.0], [0.1, np.nan, 0.9, 1.1, np.nan], [1, 2, 3, 2, 1]])
ERROR = np.array([0.5, 0.4, 0.6, 0.5, 0.9]) * np.ones((3, 1))
Z = np.array([0.12, 0.15, 0.15])


def generators(seds=range(3)):
    return [np.random.default_rng([4, sed]) for sed in seds]


def drawn(own, *, flux=FLUX, error=ERROR, redshift=Z, n_draws=200, seds=range(3)):
    return own.draw(flux, error, redshift=redshift, rngs=generators(seds), n_draws=n_draws)


@pytest.mark.parametrize("form", ["mixture", "autoregressive"])
@pytest.mark.parametrize("members", [(0,), (0, 1, 2)])
def test_draws_have_the_density_told(form, members):
    own = network(members=members, form=form)
    found = drawn(own, n_draws=20_000)
    assert found.unit.shape == (3, 20_000, len(NAMES))
    assert ((found.unit > 0) & (found.unit < 1)).all()
    again = own.ln_density(FLUX, ERROR, redshift=Z, unit=found.unit, log_mass=found.log_mass)
    # targets come back from the cube in single precision
    np.testing.assert_allclose(again, found.ln_density, atol=2e-3)
    # the mean of 1 / q within a region is its volume, in the cube and log mass
    middle = np.median(found.log_mass, axis=1, keepdims=True)
    inside = np.all(np.abs(found.unit - 0.5) < 0.3, axis=2)
    inside &= np.abs(found.log_mass - middle) < 0.5
    share = np.where(inside, np.exp(-found.ln_density), 0.0)
    off = share.mean(axis=1) - 0.6 ** len(NAMES)
    assert (np.abs(off) < 5 * share.std(axis=1) / np.sqrt(share.shape[1])).all()


@pytest.mark.parametrize("form", ["mixture", "autoregressive"])
def test_a_broadened_network_proposes_more_widely(form):
    own = network(form=form)
    wide = own.broadened(1.3)
    found, narrow = drawn(wide, n_draws=20_000), drawn(own, n_draws=20_000)
    again = wide.ln_density(FLUX, ERROR, redshift=Z, unit=found.unit, log_mass=found.log_mass)
    # all but a few, so near an end of the cube that single precision does not tell how far
    assert np.mean(np.abs(again - found.ln_density) < 2e-3) > 0.999
    assert (found.log_mass.std(axis=1) > narrow.log_mass.std(axis=1)).all()
    # what is not the density stays
    assert wide.broadened(1 / 1.3).to_dataset().attrs == own.to_dataset().attrs
    back = wide.broadened(1 / 1.3).to_dataset()["weights"]
    np.testing.assert_allclose(back, own.to_dataset()["weights"], rtol=1e-5, atol=1e-6)


def test_members_count_the_same():
    own = network(members=(0, 1))
    found = drawn(own)
    given_draws = {"unit": found.unit, "log_mass": found.log_mass}
    each = [
        np.exp(member(own, k).ln_density(FLUX, ERROR, redshift=Z, **given_draws)) for k in (0, 1)
    ]
    np.testing.assert_allclose(np.exp(found.ln_density), np.mean(each, axis=0), rtol=2e-3)
    alone = drawn(member(own, 0), n_draws=100)
    np.testing.assert_array_equal(found.unit[:, ::2], alone.unit)


@pytest.mark.parametrize("members", [(0,), (0, 1)])
def test_an_sed_is_the_same_in_any_company(members):
    own, rows = network(members=members), [2, 0]
    whole = drawn(own)
    part = drawn(own, flux=FLUX[rows], error=ERROR[rows], redshift=Z[rows], seds=rows)
    for name in ("unit", "log_mass", "ln_density"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[rows])


@given(power=st.integers(-40, 40))
def test_mass_follows_brightness(power):
    own, factor = network(), 2.0**power
    one, other = (
        drawn(own, n_draws=5),
        drawn(own, flux=factor * FLUX, error=factor * ERROR, n_draws=5),
    )
    np.testing.assert_array_equal(other.unit, one.unit)
    np.testing.assert_array_equal(other.ln_density, one.ln_density)
    shift = power * np.log10(2)
    np.testing.assert_allclose(other.log_mass, one.log_mass + shift, atol=1e-12)


def test_what_is_written_in_a_missing_band_does_not_count():
    other = np.where(np.isnan(FLUX), 1e5, FLUX)
    error = np.where(np.isnan(FLUX), np.nan, ERROR)
    np.testing.assert_array_equal(
        drawn(network(), flux=other, error=error).unit, drawn(network()).unit
    )


def test_an_sed_without_bands_is_nan_and_the_others_as_before():
    flux = FLUX.copy()
    flux[1] = np.nan
    found, whole = drawn(network(), flux=flux), drawn(network())
    for name in ("unit", "log_mass", "ln_density"):
        assert np.isnan(getattr(found, name)[1]).all()
        np.testing.assert_array_equal(getattr(found, name)[[0, 2]], getattr(whole, name)[[0, 2]])


def test_redshifts_must_be_as_many_as_the_network_wants():
    with pytest.raises(DataError, match="none given"):
        drawn(network(), redshift=None)
    with pytest.raises(DataError, match=r"\(3,\) given, none wanted"):
        drawn(network(redshift=None))
    with pytest.raises(DataError, match="2 bands; the network has 5"):
        drawn(network(), flux=FLUX[:, :2], error=ERROR[:, :2])


def test_one_redshift_is_no_input():
    own = network(redshift=(0.15, 0.15))
    assert not own.redshift_is_input
    found = drawn(own, redshift=np.full(3, 0.15))
    assert np.isfinite(found.log_mass).all()


@pytest.mark.parametrize("form", ["mixture", "autoregressive"])
def test_stored_and_read_it_is_the_same(form, tmp_path):
    laws = {"weighed": {"chi2": {"mean": [0.5, 1.0], "tail": 0.1}}}
    own = replace(network(members=(0, 1), form=form), outliers=laws)
    stored = NETWORK.validate(own.to_dataset())
    publish(stored, tmp_path / "network.zarr.zip")
    back = Network.from_dataset(read(tmp_path / "network.zarr.zip"))
    np.testing.assert_array_equal(drawn(back).log_mass, drawn(own).log_mass)
    np.testing.assert_array_equal(drawn(back).ln_density, drawn(own).ln_density)
    for name in (
        "bands",
        "filters",
        "names",
        "redshift",
        "models",
        "settings",
        "noise_json",
        "outliers",
    ):
        assert getattr(back, name) == getattr(own, name)
    np.testing.assert_array_equal(back.held_loss, own.held_loss)
    np.testing.assert_array_equal(back.figures["coverage_68"], own.figures["coverage_68"])
    back.check(library(redshift=0.13), fit_settings())


def test_what_is_no_network_is_refused():
    with pytest.raises(SchemaError, match="network/1"):
        Network.from_dataset(network().to_dataset().drop_vars("weights"))


def test_a_fit_that_it_was_trained_for_is_welcome():
    settings = fit_settings(n_draws=7).model_copy(update={"n_samples": 5})
    network().check(library(redshift=0.2, derived=("av",), n_models=5), settings)


def moved():
    """Return bands of which one has another curve."""
    first, *rest = filters()
    return (Filter(first.name, first.wave * 1.01, first.transmission), *rest)


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"given": filters()[::-1]}, f"bands: the network knows {', '.join(BANDS)}, the fit has k"),
        ({"given": moved()}, "band nuv: the network knows another curve"),
        ({"sfh": "delayed_tau"}, "models.sfh: the network knows 'tau', the fit has 'delayed_tau'"),
        ({"priors": {"dust2": {"low": 0.0, "high": 1.0}}}, "prior of dust2: .*2.0.* has .*1.0"),
        ({"priors": {"log_tau": 0.4}}, "prior of log_tau"),
        ({"redshift": None}, "redshift: the network must be told it"),
    ],
)
def test_what_differs_is_named(changed, match):
    with pytest.raises(ConfigError, match=match):
        network().check(library(**{"redshift": 0.15, **changed}), fit_settings())


def test_the_redshifts_that_a_network_knows():
    own = network()
    found = [own.knows(z) for z in (0.09, 0.1, 0.15, 0.2, 0.3)]
    assert found == [False, True, True, True, False]
    # another redshift is no fault of the settings
    own.check(library(redshift=0.3), fit_settings())
    assert network(redshift=None).knows(None)


def test_another_likelihood_or_population_is_refused():
    other = fit_settings().model_copy(update={"systematic_error": 0.2, "likelihood": "student_t"})
    with pytest.raises(ConfigError, match=r"(?s)'student_t'.*systematic_error: .* 0.05, .* 0.2"):
        network().check(library(redshift=0.15), other)
    own = network()
    own.origin["ssp"]["library"] = "another"
    with pytest.raises(ConfigError, match="populations"):
        own.check(library(redshift=0.15), fit_settings())


def test_a_network_that_finds_redshifts_wants_their_prior():
    own = network(redshift=None)
    own.check(library(), fit_settings())
    with pytest.raises(ConfigError, match="prior of redshift"):
        own.check(library(redshift=0.15), fit_settings())
