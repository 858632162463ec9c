"""Catalogues of photometry as surveys."""

import json
import logging

import numpy as np
import pytest
import yaml
from astropy.io import fits
from astropy.table import QTable, Table
from hypothesis import given
from hypothesis import strategies as st

import pxdask
from pxdask.core.catalogs import CatalogConfig
from pxdask.core.errors import ConfigError
from pxdask.core.provenance import code_state
from pxdask.io.provenance import read_provenance
from pxdask.io.sed_tables import seds_dataset
from pxdask.survey.manifest import Manifest
from pxdask.survey.products import shared_ends
from pxdask.survey.seds.blocks import block_key, plan_blocks
from pxdask.survey.seds.catalog_fit import MANIFEST, fit_catalog, open_catalog

BANDS = {"g": "sdss_g", "r": "sdss_r", "i": "sdss_i"}
QUIET = {"serial": True, "progress": False}


def catalog(n=12, seed=1):
    rng = np.random.default_rng(seed)
    table = Table({"id": [f"s{i:03d}" for i in range(n)], "redshift": np.full(n, 0.1)})
    table["redshift"][n // 2 :] = 0.2
    for name, level in zip(BANDS, (100.0, 200.0, 260.0), strict=True):
        table[f"flux_{name}"] = level * rng.lognormal(0, 0.1, n)
        table[f"err_{name}"] = 0.05 * level
    return table


def settings(**changes):
    values = {
        "bands": BANDS,
        "block_size": 5,
        "models": {"ssp": "synthetic", "n_models": 500},
        "fit": {"n_samples": 20},
    }
    return CatalogConfig.parse({**values, **changes})


def block_files(folder):
    return {path.name: path.read_bytes() for path in (folder / "blocks").rglob("*.zip")}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("catalog") / "run"
    return fit_catalog(catalog(), settings(), folder, **QUIET)


def test_the_table_is_in_the_order_of_the_catalogue(finished):
    table = finished.table()
    assert list(table["id"]) == list(catalog()["id"])
    assert str(table["log_mass_p50"].unit) == "dex(solMass)"
    assert np.all(np.isfinite(table["log_mass_p50"].value))
    names = [path.name for path in finished.table_paths()]
    assert names == ["results.fits", "results.parquet", "results.ecsv"]
    with fits.open(finished.table_paths()[0]) as hdus:
        np.testing.assert_array_equal(
            hdus["SEDS"].data["log_mass_p50"], table["log_mass_p50"].value
        )
    for path in finished.table_paths()[1:]:
        np.testing.assert_array_equal(
            QTable.read(path)["log_mass_p50"].value, table["log_mass_p50"].value
        )


def test_a_block_tells_what_made_it(finished):
    path = next((finished.folder / "blocks").rglob("*.zip"))
    told = read_provenance(path)
    assert path.name == f"fit-{told['key']}.zarr.zip"
    assert told["seeds"] == {"seed": 1}
    assert told["recipe"]["settings"]["bands"] == BANDS
    assert told["recipe"]["settings"]["fit"]["n_samples"] == 20
    assert told["code"] == code_state()
    assert told["versions"]["numpy"] == np.__version__


def test_it_is_the_fit_of_the_table(finished):
    config = settings()
    direct = pxdask.fit(catalog(), filters=BANDS, models=config.models, settings=config.fit)
    one, other = direct.summary(), finished.table()
    assert one.colnames == other.colnames
    for name in one.colnames:
        np.testing.assert_array_equal(
            getattr(one[name], "value", one[name]), getattr(other[name], "value", other[name])
        )


def test_blocks_of_any_size_give_the_same_table(finished, tmp_path):
    other = fit_catalog(catalog(), settings(block_size=2), tmp_path / "run", **QUIET)
    tables = finished.table(), other.table()
    for name in tables[0].colnames:
        one, two = (getattr(table[name], "value", table[name]) for table in tables)
        np.testing.assert_array_equal(one, two)


def test_posteriors_of_some(finished):
    some = finished.posterior(["s007", "s002"])
    assert some.ids == ("s007", "s002")
    table = finished.table()
    assert some.summary()["log_mass_p50"][0] == table["log_mass_p50"][7]
    assert some.model_sed("s002", n_draw=5).flux.shape == (3, 3)
    with pytest.raises(ConfigError, match="not in the catalogue: nobody"):
        finished.posterior(["nobody"])


def test_going_on_makes_only_what_is_missing(tmp_path):
    folder = tmp_path / "run"
    done = fit_catalog(catalog(), settings(), folder, **QUIET)
    before = block_files(folder)
    assert len(before) == 3
    victim = min((folder / "blocks").rglob("*.zip"))
    stamps = {p: p.stat().st_mtime_ns for p in (folder / "blocks").rglob("*.zip")}
    victim.unlink()
    again = fit_catalog(catalog(), settings(), folder, **QUIET)
    assert block_files(folder) == before
    changed = [p for p, stamp in stamps.items() if p.stat().st_mtime_ns != stamp]
    assert changed == [victim]
    assert again.keys == done.keys
    assert open_catalog(folder).keys == done.keys
    assert open_catalog(folder).config == done.config


def test_another_run_in_the_folder_is_refused(tmp_path):
    folder = tmp_path / "run"
    fit_catalog(catalog(), settings(), folder, **QUIET)
    first = block_files(folder)
    other = catalog()
    other["flux_g"][0] = 1.0
    with pytest.raises(ConfigError, match="a run with other catalogue"):
        fit_catalog(other, settings(), folder, **QUIET)
    with pytest.raises(ConfigError, match="a run with other settings"):
        fit_catalog(catalog(), settings(seed=2), folder, **QUIET)
    run = fit_catalog(other, settings(), folder, update=True, **QUIET)
    # one row changed: one block more, the others are kept
    assert len(block_files(folder)) == len(first) + 1
    assert first.items() <= block_files(folder).items()
    assert run.seds()["flux"].values[0, 0] == 1.0
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "x").write_text("x")
    with pytest.raises(ConfigError, match="not empty"):
        fit_catalog(catalog(), settings(), tmp_path / "else", **QUIET)
    with pytest.raises(ConfigError, match="is not a catalogue that was fitted"):
        open_catalog(tmp_path)


def test_failures_are_recorded_and_do_not_end_the_run(tmp_path, caplog):
    bad = catalog()
    bad["redshift"][3] = np.nan
    bad["redshift"][4] = -1.0
    for name in BANDS:
        bad[f"flux_{name}"][9] = -99.0
    with caplog.at_level(logging.WARNING):
        run = fit_catalog(bad, settings(), tmp_path / "run", **QUIET)
    table = run.table()
    lost = ["not_fitted" in words for words in table["flags"]]
    assert np.flatnonzero(lost).tolist() == [3, 4, 9]
    reasons = {row["id"]: row["error"] for row in run.failures()}
    # a row without data is a flag; one without redshift has a reason
    assert reasons == {
        "s003": "redshift is nan; wanted a positive number",
        "s004": "redshift is -1; wanted a positive number",
    }
    assert "not fitted: SED 's003'" in caplog.text


def test_a_block_of_nothing_is_not_tried_twice(tmp_path):
    bad = catalog()
    bad["redshift"] = np.nan
    folder = tmp_path / "run"
    run = fit_catalog(bad, settings(), folder, **QUIET)
    assert not run.table_paths()
    n_failed = len(run.failures())
    assert n_failed == 3 + len(bad)
    rows = len(list(Manifest(folder / MANIFEST).records()))
    fit_catalog(bad, settings(), folder, **QUIET)
    assert len(list(Manifest(folder / MANIFEST).records())) == rows
    fit_catalog(bad, settings(), folder, retry_failed=True, **QUIET)
    assert len(list(Manifest(folder / MANIFEST).records())) == 2 * rows
    with pytest.raises(ConfigError, match="no SED has been fitted"):
        run.posterior()


def test_bad_settings_and_catalogues_stop_before_anything(tmp_path):
    with pytest.raises(ConfigError, match="no column 'flux_q'"):
        fit_catalog(catalog(), settings(bands={"q": "sdss_g"}), tmp_path / "a", **QUIET)
    wide = {"ssp": "synthetic", "priors": {"logzsol": {"low": -2.0, "high": 5.0}}}
    with pytest.raises(ConfigError, match="logzsol"):
        fit_catalog(catalog(), settings(models=wide), tmp_path / "b", **QUIET)
    twice = catalog()
    twice["id"][1] = "s000"
    with pytest.raises(ConfigError, match="more than once"):
        fit_catalog(twice, settings(), tmp_path / "c", **QUIET)
    with pytest.raises(ConfigError, match="bands listed twice: g"):
        settings(bands=[{"name": "g", "filter": "sdss_g"}] * 2)
    with pytest.raises(ConfigError, match="bands: Field required"):
        CatalogConfig.parse({})
    with pytest.raises(ConfigError, match="unit 'K'"):
        fit_catalog(catalog(), settings(unit="K"), tmp_path / "d", **QUIET)


def test_settings_as_a_file(tmp_path):
    path = tmp_path / "fit.yaml"
    columns = {"filter": "sdss_g", "flux": "G", "flux_err": "eG"}
    text = {"bands": {"g": columns, "r": "sdss_r"}, "unit": "mJy", "redshift": 0.3}
    path.write_text(yaml.safe_dump(text))
    config = CatalogConfig.load(path)
    assert config.bands[0].columns == ("G", "eG")
    assert config.bands[1].columns == ("flux_r", "err_r")
    assert CatalogConfig.parse(yaml.safe_load(config.dump())) == config


def dataset(redshift):
    n = len(redshift)
    return seds_dataset(
        [str(i) for i in range(n)],
        bands=["r"],
        pivot_wave=np.array([6000.0]),
        flux=np.ones((n, 1)),
        flux_err=np.ones((n, 1)),
        redshift=np.array(redshift),
    )


@given(
    st.lists(st.floats(0.001, 3.0) | st.just(np.nan), min_size=1, max_size=40),
    st.integers(1, 9),
    st.sampled_from([None, 0.01, 0.1]),
)
def test_blocks_hold_every_row_once(redshift, size, step):
    config = settings(block_size=size, models={"ssp": "synthetic", "redshift_step": step})
    blocks = list(plan_blocks(dataset(redshift), config))
    rows = [row for block in blocks for row in block.rows]
    assert sorted(rows) == list(range(len(redshift)))
    assert [block.number for block in blocks] == list(range(len(blocks)))
    for block in blocks:
        assert len(block.rows) <= size
        shared = {shared_ends(config.models, redshift[row]) for row in block.rows}
        assert len(shared) == 1


def test_keys_are_of_the_content():
    config, seds = settings(), dataset([0.1, 0.2])
    block = next(iter(plan_blocks(seds, config)))
    key = block_key(seds, block, config, ("ssp", "filters"))
    same = config.model_copy(update={"block_size": 99, "name": "other"})
    assert block_key(seds, block, same, ("ssp", "filters")) == key
    others = [
        block_key(seds, block, settings(seed=2), ("ssp", "filters")),
        block_key(seds, block, config, ("ssp", "others")),
        block_key(seds, block, settings(fit={"n_samples": 21}), ("ssp", "filters")),
        block_key(dataset([0.1, 0.3]), block, config, ("ssp", "filters")),
    ]
    assert len({key, *others}) == 5


@pytest.mark.slow
@pytest.mark.cluster
def test_a_cluster_gives_the_same_bytes(finished, tmp_path):
    with pxdask.connect("local", workers=2) as client:
        run = fit_catalog(catalog(), settings(), tmp_path / "run", client, progress=False)
    assert block_files(run.folder) == block_files(finished.folder)
    assert json.loads((run.folder / "catalog.json").read_text())["keys"] == list(finished.keys)
