"""Networks are trained once for a run, found again, checked, and part of the fits' keys."""

import json
import logging
import shutil
import sys
from contextlib import nullcontext

import numpy as np
import pytest
import yaml
from astropy.table import Table

import pxdask
from pxdask.core.catalogs import CatalogConfig
from pxdask.core.config import SurveyConfig
from pxdask.core.errors import ConfigError
from pxdask.core.fits import FitConfig
from pxdask.core.flags import Flag
from pxdask.core.models import ModelConfig
from pxdask.fitting import npe_limits
from pxdask.fitting.npe_redshift import LIMIT, shared_ratio
from pxdask.io.filters import load_filters
from pxdask.io.stores import publish, read
from pxdask.npe.noise import broad_noise
from pxdask.sps import synthetic_ssp
from pxdask.survey.care.space import unreachable
from pxdask.survey.networks import given as networks
from pxdask.survey.networks.given import load_given, unknown_redshifts
from pxdask.survey.networks.trainings import network_redshifts, noise_of, require_jax, training_of
from pxdask.survey.networks.wanted import Wanted, redshift_range
from pxdask.survey.seds.catalog_fit import fit_catalog
from tests.survey.mini import BANDS, make_survey, outputs

TINY = {
    "density": "mixture",
    "n_mocks": 2000,
    "hidden": 16,
    "n_layers": 2,
    "n_components": 2,
    "max_epochs": 2,
    "batch_size": 256,
    "n_draws": 100,
    "max_rounds": 1,
}
"""Settings of a training of some seconds, most of them JAX's; what it learns is little."""

MODELS = {"ssp": "synthetic", "n_models": 512, "sfh": "tau"}


def fit_settings(**npe):
    return {"method": "npe", "block_size": 4, "npe": {**TINY, **npe}}


def wanted(**changes):
    npe = changes.pop("npe", {})
    values = {
        "models": ModelConfig(**MODELS),
        "bands": tuple(BANDS.items()),
        "fit": FitConfig(**fit_settings(**npe)),
        "seed": 1,
        "redshifts": (0.05, 0.05),
    }
    return Wanted(**{**values, **changes})


def training(**changes):
    return training_of(
        wanted(**changes), ssp=synthetic_ssp(), curves=load_filters(list(BANDS.values()))
    )


def submit(root, catalog, config, name="run", **choices):
    choices = {"serial": True, "progress": False, **choices}
    return pxdask.submit(catalog, config, root / name, root=root, **choices)


def npe_survey(root, n_galaxy=2, **npe):
    return make_survey(root, n_galaxy, fit=fit_settings(**npe), models=MODELS)


@pytest.fixture(scope="module", autouse=True)
def fewer_mocks():
    """Let outliers be learnt of a quarter of the mocks, in the process that trains."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(npe_limits, "N_MOCKS", 1024)
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    pytest.importorskip("jax")
    root = tmp_path_factory.mktemp("npe")
    catalog, config = npe_survey(root)
    return root, catalog, config, submit(root, catalog, config)


@pytest.fixture(scope="module")
def network_file(finished):
    (path,) = (finished[3].store / "models").glob("network-*")
    return path


# redshifts, keys


def test_redshifts_of_a_training_are_those_of_the_data_and_a_little_more():
    # (1 + 0.05) (1 -+ 0.02) - 1 = 0.029 and 0.071, outwards to hundredths
    assert network_redshifts(wanted()) == (0.02, 0.08)
    assert network_redshifts(wanted(redshifts=(1.0, 6.0))) == (0.96, 6.14)
    assert network_redshifts(wanted(redshifts=(0.003, 0.05)))[0] == 1e-3
    assert network_redshifts(wanted(npe={"redshift": (0.5, 0.5)})) == (0.5, 0.5)
    free = ModelConfig(**MODELS, priors={"redshift": {"low": 0.1, "high": 2.0}})
    assert network_redshifts(wanted(models=free)) is None


@pytest.mark.parametrize("npe", [{"redshift": (2.0, 1.0)}, {"redshift": (0.0, 1.0)}])
def test_redshifts_out_of_order_are_refused(npe):
    with pytest.raises(ConfigError, match="wanted two positive numbers in order"):
        network_redshifts(wanted(npe=npe))


def test_no_redshifts_are_refused():
    with pytest.raises(ConfigError, match=r"set fit\.npe\.redshift"):
        network_redshifts(wanted(redshifts=None))


def test_what_is_no_redshift_does_not_count():
    assert redshift_range([np.nan, -1.0, "0.3", 0.1, None, 0.0]) == (0.1, 0.3)
    assert redshift_range([]) is None


def test_the_key_of_a_training_is_of_what_decides_it():
    key = training().key
    same = [
        training(redshifts=(0.045, 0.052)),
        training(npe={"n_draws": 300, "reweight": False, "false_alarms": 0.1}),
        training(models=ModelConfig(**{**MODELS, "n_models": 99, "redshift_step": 0.01})),
    ]
    assert {each.key for each in same} == {key}
    others = [
        training(redshifts=(0.05, 0.5)),
        training(npe={"n_mocks": 3000}),
        training(seed=2),
        training(models=ModelConfig(**MODELS, priors={"dust2": {"low": 0.0, "high": 1.0}})),
        training(fit=FitConfig(**fit_settings(), systematic_error=0.1)),
    ]
    assert len({key, *(each.key for each in others)}) == 1 + len(others)


def test_a_single_redshift_is_fixed():
    library = training(npe={"redshift": (0.5, 0.5)}).model_library
    assert library.redshift == 0.5
    assert "redshift" not in library.settings.priors


def test_noise_of_other_bands_is_refused(tmp_path):
    path = tmp_path / "noise.json"
    path.write_text(broad_noise(("u", "g")).to_json())
    with pytest.raises(ConfigError, match="is of the bands u, g; the data have g, r, i"):
        noise_of(wanted(npe={"noise": str(path)}))
    with pytest.raises(ConfigError, match="cannot read"):
        noise_of(wanted(npe={"noise": str(tmp_path / "nothing.json")}))


def test_missing_jax_is_told_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "jax", None)
    with pytest.raises(ConfigError, match=r"needs jax: pip install 'pxdask\[npe\]'"):
        require_jax()
    catalog, config = npe_survey(tmp_path, 1)
    for check in (True, False):
        with pytest.raises(ConfigError, match=r"pip install 'pxdask\[npe\]'"):
            submit(tmp_path, catalog, config, check=check)
    assert not (tmp_path / "run" / "galaxies").exists()


def test_what_is_no_network_is_refused(tmp_path):
    path = tmp_path / "ssp.zarr.zip"
    with pytest.raises(ConfigError, match="is no trained network"):
        load_given(str(path))
    publish(synthetic_ssp(), path)
    with pytest.raises(ConfigError, match="is no trained network"):
        load_given(str(path))


# runs


@pytest.mark.slow
def test_a_run_trains_its_network_once(finished, network_file, monkeypatch):
    root, catalog, config, run = finished
    assert len(run.finished()) == 2
    network = load_given(str(network_file))
    assert network.redshift == (0.02, 0.08)
    fit = run.dataset("g00", "fit")
    assert np.all(np.isfinite(fit["efficiency"]))
    assert not np.any(fit["flags"].values & int(Flag.NOT_FITTED))
    # what it would be trained with is not asked for again
    monkeypatch.setitem(sys.modules, "jax", None)
    n_row = len(run.manifest())
    again = submit(root, catalog, config)
    assert len(again.manifest()) == n_row


@pytest.mark.slow
def test_other_draws_take_the_same_weights(finished, network_file, tmp_path, monkeypatch):
    root, catalog, _, run = finished
    shutil.copytree(run.store, tmp_path / "run")
    values = yaml.safe_load((run.store / "config.yaml").read_text())
    values["fit"]["npe"]["n_draws"] = 120
    monkeypatch.setitem(sys.modules, "jax", None)  # what is trained is not trained again
    config = SurveyConfig.parse(values)
    submit(root, catalog, config, tmp_path / "run", update=True)
    (new,) = set((tmp_path / "run" / "models").glob("network-*")) - {
        tmp_path / "run" / "models" / network_file.name
    }
    one, other = read(network_file), read(new)
    np.testing.assert_array_equal(one["weights"], other["weights"])
    assert other.attrs["settings"]["npe"]["n_draws"] == 120


@pytest.mark.slow
def test_the_table_of_galaxies_tells_what_the_seds_say_of_redshifts(finished):
    run = finished[3]
    run.collect(formats=())
    table = run.table()
    for name, told in zip(table["id"], table["redshift_ratio"], strict=True):
        fit = run.dataset(str(name), "fit")
        want = shared_ratio(fit["redshift_ratio"].values)
        assert told == want == fit.attrs["redshift_ratio"]
        odd = (fit["flags"].values & int(Flag.ODD_REDSHIFT)) > 0
        assert np.all(odd == (want < LIMIT))


@pytest.mark.slow
def test_no_training_is_left_beside_the_network(finished):
    names = {path.name.split("-")[0] for path in (finished[3].store / "models").iterdir()}
    assert names == {"ssp", "filters", "network"}
    assert finished[3].verify().damaged == ()
    assert unreachable(finished[3]).files == ()


@pytest.mark.slow
def test_workers_give_the_same_bytes(finished):
    root, catalog, config, run = finished
    other = submit(root, catalog, config, "dask", serial=False, workers=2)
    assert outputs(other.store) == outputs(run.store)


@pytest.mark.slow
def test_a_killed_training_goes_on_and_gives_the_same_network(finished, monkeypatch):
    root, catalog, config, run = finished
    passes = []

    def killed(told):
        passes.append(told.done)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(networks, "shown_training", lambda **_: nullcontext(killed))
        with pytest.raises(KeyboardInterrupt):
            submit(root, catalog, config, "killed")
    assert passes == [1]
    assert list((root / "killed" / "models").glob("training-*.npz"))
    with monkeypatch.context() as patch:
        told = nullcontext(lambda told: passes.append(told.done))
        patch.setattr(networks, "shown_training", lambda **_: told)
        other = pxdask.resume(root / "killed", serial=True, progress=False)
    assert passes == [1, 2]
    assert outputs(other.store) == outputs(run.store)


@pytest.mark.slow
def test_a_network_given_is_copied_and_keyed_by_its_content(tmp_path, finished, network_file):
    given = tmp_path / "given.zarr.zip"
    shutil.copy(network_file, given)
    catalog, config = npe_survey(tmp_path, 1, network=str(given))
    run = submit(tmp_path, catalog, config)
    assert len(run.finished()) == 1
    products = json.loads(next((run.store / "history").glob("*.json")).read_text())
    assert products["network"].startswith("network-given-")
    # the same network and galaxy: the same fit, wherever the file was
    xr_equal(run.dataset("g00", "fit"), finished[3].dataset("g00", "fit"))
    given.unlink()
    n_row = len(run.manifest())
    again = submit(tmp_path, catalog, config)
    assert len(again.manifest()) == n_row
    # another network under the same name: the fits are made again
    publish(read(network_file).assign_attrs(mass_centre=99.0), given)
    other = submit(tmp_path, catalog, config)
    rows = {(row["stage"], row["outcome"]) for row in other.manifest()[n_row:]}
    assert ("fit", "done") in rows
    assert ("bins", "done") not in rows


def xr_equal(one, other):
    assert one.drop_attrs().identical(other.drop_attrs())


@pytest.mark.slow
def test_a_network_of_something_else_is_refused_before_anything_runs(tmp_path, network_file):
    models = {**MODELS, "priors": {"dust2": {"low": 0.0, "high": 1.0}}}
    catalog, config = make_survey(
        tmp_path, 1, fit=fit_settings(network=str(network_file)), models=models
    )
    for check in (True, False):
        with pytest.raises(ConfigError, match="prior of dust2: the network knows"):
            submit(tmp_path, catalog, config, check=check)
    assert not (tmp_path / "run" / "galaxies").exists()


@pytest.mark.slow
def test_a_galaxy_of_unknown_redshift_is_told_of(tmp_path, network_file, caplog):
    catalog, config = npe_survey(tmp_path, 2, network=str(network_file))
    table = Table.read(catalog)
    table["redshift"][1] = 0.5
    table.write(catalog, overwrite=True)
    with caplog.at_level(logging.WARNING):
        run = submit(tmp_path, catalog, config)
    told = "galaxy g01, redshift 0.5: the network knows 0.02 to 0.08: fitted by rdsps instead"
    assert told in caplog.text
    assert run.finished() == ["g00", "g01"]
    handed = int(Flag.HANDED_OVER)
    assert np.all(run.dataset("g01", "fit")["flags"].values & handed)
    network = load_given(str(network_file))
    found = unknown_redshifts(network, np.array([0.02, 0.5, 0.08, np.nan, -1.0]))
    assert found.tolist() == [False, True, False, False, False]


# catalogues of photometry


def catalog_of(n=6):
    rng = np.random.default_rng(1)
    table = Table({"id": [f"s{i}" for i in range(n)], "redshift": np.full(n, 0.05)})
    for name, level in zip(BANDS, (100.0, 200.0, 260.0), strict=True):
        table[f"flux_{name}"] = level * rng.lognormal(0, 0.1, n)
        table[f"err_{name}"] = 0.05 * level
    return table


@pytest.mark.slow
def test_a_catalogue_trains_one_or_takes_the_one_given(tmp_path, network_file, caplog):
    values = {"bands": BANDS, "block_size": 4, "models": MODELS, "fit": fit_settings()}
    own = fit_catalog(
        catalog_of(), CatalogConfig.parse(values), tmp_path / "own", serial=True, progress=False
    )
    values["fit"] = fit_settings(network=str(network_file))
    config = CatalogConfig.parse(values)
    given = fit_catalog(catalog_of(), config, tmp_path / "given", serial=True, progress=False)
    # trained with the same settings and the same redshifts as the survey's
    for name in ("log_mass_p50", "n_eff"):
        np.testing.assert_array_equal(own.table()[name], given.table()[name])
    # and so does the function that fits a table in memory, to the SEDs' names in its streams
    held = pxdask.fit(
        catalog_of(),
        filters=BANDS,
        models=ModelConfig(**MODELS),
        settings=FitConfig(**values["fit"]),
    )
    np.testing.assert_array_equal(held.fit["n_eff"].values, given.table()["n_eff"])
    far = catalog_of()
    far["redshift"][2] = 3.0
    with caplog.at_level(logging.WARNING):
        fit_catalog(far, config, tmp_path / "far", serial=True, progress=False)
    assert (
        "1 of 6 SEDs, such as s2, have redshifts from 3 to 3; the network knows 0.02 to 0.08:"
        in (caplog.text)
    )


def test_a_prior_of_mass_that_nothing_heeds_is_told_before_any_training(tmp_path):
    joint = {"kind": "joint_with_mass", "log_mass": [6, 12], "mean": [-1, -1], "sigma": [0.1, 0.1]}
    catalog, config = make_survey(
        tmp_path,
        1,
        fit=fit_settings(reweight=False),
        models={**MODELS, "priors": {"logzsol": joint}},
    )
    for check in (True, False):
        with pytest.raises(
            ConfigError, match=r"fit\.npe\.reweight is false, and models\.priors of"
        ):
            submit(tmp_path, catalog, config, check=check)
    assert not list(tmp_path.glob("run/models/*network*"))
