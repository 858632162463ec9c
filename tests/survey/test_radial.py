"""Radial profiles and sizes as a stage of surveys; the Sersic engine is a stand-in."""

import shutil
from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pytest

import pxdask
from pxdask.core.config import SurveyConfig
from pxdask.core.errors import ConfigError, DataError
from pxdask.core.schema import RADIAL
from pxdask.survey.care.retask import retask
from pxdask.survey.context import open_context
from pxdask.survey.inspect import inspect_galaxy
from pxdask.survey.looking.plotting import Choice, data_of, draw_of
from pxdask.survey.memory import SMALL, stage_memory
from pxdask.survey.pipeline import Pipeline
from pxdask.survey.radial_facts import SIZES
from pxdask.survey.share import Calls, carry_galaxies
from tests.morphology.standins import fit_nothing
from tests.plots.galaxy import labels
from tests.survey.mini import make_survey, outputs, settings

ASKED = {"radial": {"n_draws": 50}}
PROFILED = {"morphology": {"n_draws": 50}}
ENGINE = "pxdask.morphology.stage.fit_galaxies"
R_EFF = 2.0 * 1.2  # arcsec, of the stand-in in the third and reddest band


def refuse(ready, **_):
    return [DataError("there is no galaxy to be seen") for _ in ready]


def crash(ready, **_):
    raise RuntimeError(f"a defect beside {len(ready)} galaxy")


def submitted(root, **changes):
    """A run of one galaxy in this process."""
    if not (root / "catalog.ecsv").is_file():
        make_survey(root, 1)
    config = SurveyConfig.parse(settings(**changes))
    return pxdask.submit(
        root / "catalog.ecsv",
        config,
        root / "run",
        root=root,
        serial=True,
        progress=False,
    )


def resumed(run, **words):
    return pxdask.resume(run.store, serial=True, progress=False, **words)


def source(run):
    return RADIAL.validate(run.dataset("g00", "radial")).attrs["r_eff_source"]


def stages(run):
    return {record.stage: record for record in run.records().values()}


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A run with radial profiles and no morphology; nobody changes it."""
    return submitted(tmp_path_factory.mktemp("measured"), **ASKED)


@pytest.fixture(scope="module")
def refused(tmp_path_factory):
    """A run whose Sersic profiles failed for good; nobody changes it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ENGINE, refuse)
        return submitted(tmp_path_factory.mktemp("refused"), **ASKED, **PROFILED)


@pytest.fixture
def lone(refused, tmp_path):
    """A copy of that run."""
    shutil.copytree(refused.store, tmp_path / "run")
    return pxdask.open_run(tmp_path / "run")


def test_profiles_are_made_beside_all_else(measured, finished_run):
    assert len(measured.failures()) == 0
    keys = {stage: record.key for stage, record in stages(measured).items()}
    found = measured.dataset("g00", "radial")
    assert found.attrs["key"] == keys.pop("radial")
    before = {r.stage: r.key for r in finished_run.records().values() if r.id == "g00"}
    assert before == keys  # of other stages they are as they were
    assert list(found.attrs["recipe"]["outputs"]) == ["cube", "bins", "fit", "maps"]
    assert found.attrs["recipe"]["settings"]["n_draws"] == 50
    assert found.attrs["seeds"] == {"seed": 1}
    assert source(measured) == "moments"
    assert measured.verify().ok
    (output,) = measured.explain("g00", stage="radial").outputs
    assert (output.state, len(output.files)) == ("current", 1)
    with retask(measured, "g00", "radial") as one:
        assert one.carry_out().same


def test_sizes_are_those_of_the_disc(measured):
    found = measured.dataset("g00", "radial")
    # a disc of scale 4 arcsec, of which the bins hold what is above the noise: less than all of
    # it, so that half is within less than 1.678 scales; 1.4 hold half of what is within 3.2
    light = found["half_light"].sel(quantile=0.5).values
    assert (light < 1.678 * 4.0).all()
    assert (light > 1.4 * 4.0).all()
    # one population everywhere: mass goes with light, to what the posteriors of bins tell of it
    np.testing.assert_allclose(found["mass_to_light"].sel(quantile=0.5), 1.0, atol=0.15)
    assert found["radius"].values[0] == pytest.approx(0.125)


def test_only_what_counts_makes_profiles_again(measured):
    def planned(**changes):
        config = SurveyConfig.parse(settings(**{**ASKED, **changes}))
        inputs = inspect_galaxy(measured.row("g00"), config, root=measured.data_root)
        return asdict(Pipeline(inputs, config, open_context(measured).products).keys())

    def changed(**changes):
        other = planned(**changes)
        return {stage for stage, key in planned().items() if other[stage] != key}

    assert planned()["radial"] == stages(measured)["radial"].key
    assert changed(radial={"n_draws": 50, "step": 0.5}) == {"radial"}
    assert changed(radial=None) == {"radial"}
    assert changed(**PROFILED) == {"radial", "morphology"}
    assert {"maps", "radial"} <= changed(maps={"mass_band": "r"})


def test_the_table_of_galaxies_has_sizes_with_units(measured, tmp_path):
    shutil.copytree(measured.store, tmp_path / "run")
    run = pxdask.open_run(tmp_path / "run")
    assert run.collect(formats=("ecsv", "fits", "parquet")).n_read == 1
    table, found = run.table(), run.dataset("g00", "radial")
    for i, end in enumerate(("p16", "p50", "p84")):
        assert table[f"half_mass_{end}"].value[0] == found["half_mass"].values[i]
        assert table[f"half_sfr_{end}"].value[0] == found["half_sfr"].values[i]
        for k, band in enumerate("gri"):
            assert table[f"half_light_{band}_{end}"].value[0] == found["half_light"].values[k, i]
            assert table[f"mass_to_light_{band}_{end}"][0] == found["mass_to_light"].values[k, i]
    assert str(table["half_light_g_p50"].unit) == "arcsec"
    assert str(table["half_mass_kpc_p50"].unit) == "kpc"
    # H0 = 70, Om = 0.3: 0.9776 kpc per arcsec at z = 0.05 (Wright 2006, PASP 118, 1711)
    kpc = table["half_mass_kpc_p50"].value / table["half_mass_p50"].value
    np.testing.assert_allclose(kpc, 0.9776, rtol=1e-3)
    assert table["radial_fitted"][0] == 0
    assert table["radial_flags"].dtype.kind == "i"
    first = (run.store / "summary.ecsv").read_bytes()
    assert run.collect(formats=("ecsv",)).n_read == 0
    assert (run.store / "summary.ecsv").read_bytes() == first


def test_the_status_has_the_stages_of_the_settings(measured, finished_run, refused):
    front = ["image", "cube", "bins", "fit"]
    assert list(finished_run.status()["stage"]) == [*front, "maps", "products"]
    assert list(measured.status()["stage"]) == [*front, "maps", "radial", "products"]
    status = refused.status()
    assert list(status["stage"]) == [*front, "morphology", "maps", "radial", "products"]
    assert dict(zip(status["stage"], status["failed"], strict=True))["morphology"] == 1


def test_the_figure_is_of_the_profiles(measured, finished_run):
    data = data_of(measured, "g00")
    figure = draw_of(data, "radial", Choice(names=("log_mass_density", "av")))
    assert "eff" in labels(figure)
    line = figure.axes[0].lines[-1]
    np.testing.assert_array_equal(line.get_xdata(), data.radial["radius"])
    np.testing.assert_array_equal(
        line.get_ydata(), data.radial["log_mass_density"].sel(quantile=0.5)
    )
    # profiles have no totals per pixel, bins do
    assert "[arcsec]" in labels(draw_of(data, "radial", Choice(names=("log_mass",))))
    assert "[arcsec]" in labels(draw_of(data_of(finished_run, "g00"), "radial"))


def test_without_sersic_profiles_there_are_those_on_moments(refused):
    assert list(refused.failures()["stage"]) == ["morphology"]
    assert source(refused) == "moments"
    assert refused.finished() == ["g00"]
    with retask(refused, "g00", "radial") as one:
        assert one.carry_out().same


def test_going_on_does_nothing_where_profiles_failed_for_good(lone):
    whole, n_row = outputs(lone.store), len(lone.manifest())
    again = resumed(lone)
    assert outputs(again.store) == whole
    assert len(again.manifest()) == n_row


def test_what_was_made_without_profiles_is_made_with_them(lone, monkeypatch):
    lone.collect(formats=("ecsv",))
    assert lone.table()["radial_fitted"][0] == 0
    key = stages(lone)["radial"].key
    monkeypatch.setattr(ENGINE, fit_nothing)
    again = resumed(lone, retry_failed=True)
    assert len(again.failures()) == 0
    found = again.dataset("g00", "radial")
    assert (found.attrs["key"], source(again)) == (key, "morphology")
    assert (found.attrs["r_eff"], found.attrs["r_eff_band"]) == (pytest.approx(R_EFF), "i")
    assert again.verify().ok
    again.collect(formats=("ecsv",))
    assert again.table()["radial_fitted"][0] == 1


def test_who_is_killed_before_the_profiles_of_maps_leaves_no_old_ones(lone, monkeypatch):
    monkeypatch.setattr(ENGINE, fit_nothing)
    radial = stages(lone)["radial"]
    with monkeypatch.context() as patch:
        patch.setattr("pxdask.morphology.radial_stage.radial_profiles", crash_of_radial)
        resumed(lone, retry_failed=True)
    assert not list(lone.store.rglob(f"radial-{radial.key}*"))
    assert source(resumed(lone)) == "morphology"


def crash_of_radial(*_, **__):
    raise RuntimeError("the machine is switched off")


def test_profiles_of_maps_can_be_asked_for_later(lone, refused, monkeypatch):
    """What failed for good and nobody needs keeps nothing else from being made."""
    monkeypatch.setattr(ENGINE, refuse)
    changes = {"radial": {"n_draws": 60}, **PROFILED}
    run = pxdask.submit(
        refused.store.parent / "catalog.ecsv",
        SurveyConfig.parse(settings(**changes)),
        lone.store,
        root=refused.store.parent,
        serial=True,
        progress=False,
        update=True,
    )
    tried = [record for record in run.tried("g00") if record.stage == "morphology"]
    assert len(tried) == 1
    assert run.dataset("g00", "radial").attrs["recipe"]["settings"]["n_draws"] == 60


def test_a_defect_of_the_engine_leaves_profiles_on_moments(tmp_path, monkeypatch):
    monkeypatch.setattr(ENGINE, crash)
    run = submitted(tmp_path, **ASKED, **PROFILED)
    assert list(run.failures()["stage"]) == ["morphology"]
    assert source(run) == "moments"


def test_galaxies_that_share_a_call_go_without_too(refused, tmp_path, monkeypatch):
    monkeypatch.setattr(ENGINE, refuse)
    context = replace(open_context(refused), root=tmp_path)
    (share,) = carry_galaxies([refused.row("g00")], context, Calls(), budget_s=600.0)
    outcomes = {record.stage: record.outcome for record in share.records}
    assert share.finished
    assert (outcomes["morphology"], outcomes["radial"]) == ("failed", "done")


def test_the_memory_foretold_grows_with_draws_and_bins():
    """What was measured of 6947 bins, 500 draws, 401 x 401 pixels in 2 bands: 196 MB."""

    def told(**changes):
        config = SurveyConfig.parse(settings(radial={"n_draws": 500, **changes}))
        inputs = SimpleNamespace(bands=config.bands[:2], grid=SimpleNamespace(shape=(401, 401)))
        inputs.ifs = None
        pipeline = SimpleNamespace(inputs=inputs, config=config)
        return stage_memory(pipeline, ["radial"])["radial"]

    assert 196e6 < told() < 2.5 * (196e6 + SMALL)
    assert told(n_draws=1000) > 1.5 * told()


def test_profiles_that_fail_keep_nothing_else_from_being_made(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise DataError("no light at all")

    monkeypatch.setattr("pxdask.morphology.radial_stage.radial_profiles", fail)
    run = submitted(tmp_path, **ASKED)
    assert list(run.failures()["stage"]) == ["radial"]
    assert run.finished() == ["g00"]
    run.collect(formats=("ecsv",))
    assert not [name for name in run.table().colnames if name.startswith(SIZES)]
    assert "[arcsec]" in labels(draw_of(data_of(run, "g00"), "radial"))  # of bins


def test_the_band_must_be_the_survey_s():
    with pytest.raises(ConfigError, match=r"radial\.band names band 'z'"):
        SurveyConfig.parse(settings(radial={"band": "z"}))
