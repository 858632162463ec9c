"""Sersic profiles as a stage of surveys: the engine is a stand-in, but where a test says so."""

import importlib.util
import shutil
from dataclasses import asdict, replace

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from typer.testing import CliRunner

import pxdask
from pxdask.cli.app import app
from pxdask.core.config import SurveyConfig
from pxdask.core.errors import ConfigError, DataError
from pxdask.core.schema import MORPHOLOGY
from pxdask.io.catalog import read_catalog
from pxdask.survey.care.retask import retask
from pxdask.survey.context import open_context
from pxdask.survey.inspect import inspect_galaxy
from pxdask.survey.manifest import Record
from pxdask.survey.pipeline import Pipeline
from pxdask.survey.preflight import preflight
from pxdask.survey.profile_catalog import fit_profiles
from tests.morphology.standins import fit_nothing
from tests.survey.mini import make_survey, outputs, settings

PROFILED = {"morphology": {"n_draws": 50}}


@pytest.fixture
def stand_in(monkeypatch):
    """No engine: equal profiles for all."""
    monkeypatch.setattr("pxdask.morphology.stage.fit_galaxies", fit_nothing)
    monkeypatch.setattr("pxdask.survey.profile_catalog.fit_galaxies", fit_nothing)


def submitted(root, *, store="run", n_galaxy=1, **changes):
    """A run of the small survey in this process."""
    paths = root / "catalog.ecsv", root / "survey.yaml"
    if not paths[0].is_file():
        make_survey(root, n_galaxy)
    config = SurveyConfig.parse(settings(**changes))
    return pxdask.submit(paths[0], config, root / store, root=root, serial=True, progress=False)


def keys(run, galaxy="g00"):
    return {(r.stage, r.part): r.key for r in run.records().values() if r.id == galaxy}


@pytest.fixture(scope="module")
def profiled(tmp_path_factory):
    """A run of two galaxies with profiles that no engine made; nobody changes it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pxdask.morphology.stage.fit_galaxies", fit_nothing)
        return submitted(tmp_path_factory.mktemp("profiled"), n_galaxy=2, **PROFILED)


def test_without_the_setting_nothing_changes(finished_run):
    assert "morphology" not in {record.stage for record in finished_run.records().values()}
    with pytest.raises(ConfigError, match="no morphology"):
        finished_run.morphology("g00")


def test_profiles_are_made_beside_all_else(profiled, finished_run):
    run = profiled
    assert len(run.failures()) == 0
    found = keys(run)
    own = found.pop(("morphology", ""))
    assert keys(finished_run) == found  # keys of other stages are as they were
    profiles = MORPHOLOGY.validate(run.morphology("g00"))
    assert profiles.attrs["key"] == own
    assert profiles.attrs["stage"] == "morphology"
    assert {"g image", "g uncertainty", "i image"} <= set(profiles.attrs["checksums"])
    assert list(profiles.attrs["recipe"]["outputs"]) == ["cube"]
    assert set(profiles.attrs["recipe"]["files"]) == {
        f"{band} {role}" for band in "gri" for role in ("image", "uncertainty")
    }
    paths = run.morphology_paths("g00")
    assert paths["png"].read_bytes()[:4] == b"\x89PNG"
    with fits.open(paths["fits"]) as hdus:
        assert hdus[0].header["ID"] == "g00"
        assert "RESIDUAL_R" in hdus
    assert run.verify().ok
    (output,) = run.explain("g00", stage="morphology").outputs
    assert (output.state, len(output.files)) == ("current", 3)
    assert output.sources["g image"].endswith("g.fits")


def test_only_what_counts_makes_profiles_again(profiled):
    def planned(**changes):
        config = SurveyConfig.parse(settings(**{**PROFILED, **changes}))
        inputs = inspect_galaxy(profiled.row("g00"), config, root=profiled.data_root)
        return asdict(Pipeline(inputs, config, open_context(profiled).products).keys())

    def changed(**changes):
        other = planned(**changes)
        return {stage for stage, key in planned().items() if other[stage] != key}

    assert planned()["morphology"] == keys(profiled)["morphology", ""]
    assert changed(morphology={"n_draws": 50, "order": 1}) == {"morphology"}
    assert changed(morphology={"n_draws": 50, "bands": ["r"]}) == {"morphology"}
    assert "morphology" not in changed(binning={"snr": 10.0})
    assert "morphology" in changed(images={"region": {"threshold": 3.0}})
    assert changed(morphology=None) == {"morphology"}


@pytest.mark.usefixtures("stand_in")
def test_a_run_that_goes_on_makes_what_is_missing(profiled, tmp_path):
    shutil.copytree(profiled.store, tmp_path / "run")
    whole = outputs(tmp_path / "run")
    pxdask.open_run(tmp_path / "run").morphology_paths("g00")["png"].unlink()
    again = pxdask.resume(tmp_path / "run", serial=True, progress=False)
    assert outputs(again.store) == whole
    kept = [r for r in again.tried("g00") if r.stage == "morphology"]
    assert [record.outcome for record in kept] == ["done", "done"]
    assert kept[0].checksum == kept[1].checksum
    assert again.verify().ok


@pytest.mark.usefixtures("stand_in")
def test_one_task_can_be_done_again(profiled):
    with retask(profiled, "g00", "morphology") as one:
        remade = one.carry_out()
    assert remade.same, remade.differ


def test_a_failure_keeps_nothing_else_from_being_made(tmp_path, monkeypatch):
    def refuse(ready, **_):
        return [DataError("there is no galaxy to be seen") for _ in ready]

    monkeypatch.setattr("pxdask.morphology.stage.fit_galaxies", refuse)
    run = submitted(tmp_path, **PROFILED)
    failures = run.failures()
    assert list(failures["stage"]) == ["morphology"]
    assert "no galaxy to be seen" in failures["error"][0]
    assert run.finished() == ["g00"]
    table = run.collect(formats=("ecsv",))
    assert table.n_galaxy == 1
    assert "sersic_r_eff_g" not in run.table().colnames


@pytest.mark.usefixtures("stand_in")
def test_profiles_are_made_where_bins_cannot_be(tmp_path):
    run = submitted(tmp_path, binning={"snr": 1e9, "min_diameter": 3.0}, **PROFILED)
    failed = {row["stage"] for row in run.failures()}
    assert "morphology" not in failed
    if failed:
        assert MORPHOLOGY.validate(run.morphology("g00"))


@pytest.mark.usefixtures("stand_in")
def test_matched_images_need_no_files(tmp_path):
    run = submitted(tmp_path, morphology={"data": "matched", "bands": ["r", "i"]})
    profiles = run.morphology("g00")
    assert list(profiles["band"].values) == ["r", "i"]
    assert profiles.attrs["recipe"]["files"] == {}


@pytest.mark.usefixtures("stand_in")
def test_the_table_of_galaxies_has_profiles_with_units(tmp_path):
    run = submitted(tmp_path, morphology={"bands": ["g", "i"]})
    run.collect(formats=("ecsv", "fits", "parquet"))
    table = run.table()
    assert str(table["sersic_r_eff_g"].unit) == "arcsec"
    assert str(table["sersic_r_eff_kpc_g"].unit) == "kpc"
    np.testing.assert_allclose(table["sersic_r_eff_i"].value, 2.2)
    # H0 = 70, Om = 0.3: 0.9776 kpc per arcsec at z = 0.05 (Wright 2006, PASP 118, 1711)
    np.testing.assert_allclose(table["sersic_r_eff_kpc_g"].value, 2.0 * 0.9776, rtol=1e-3)
    assert np.isnan(table["sersic_n_r"]).all()
    assert str(table["sersic_angle_g"].unit) == "deg"
    assert table["sersic_flags"].dtype.kind == "i"
    assert Table.read(run.store / "summary.ecsv")["sersic_flux_g"].unit == "uJy"


def test_collecting_again_gives_the_same_with_fewer_reads(profiled, tmp_path):
    shutil.copytree(profiled.store, tmp_path / "run")
    run = pxdask.open_run(tmp_path / "run")
    assert run.collect(formats=("ecsv",)).n_read == 2
    first = (run.store / "summary.ecsv").read_bytes()
    assert run.collect(formats=("ecsv",)).n_read == 0
    assert (run.store / "summary.ecsv").read_bytes() == first
    plain = replace(run, config=run.config.model_copy(update={"morphology": None}))
    plain.collect(formats=("ecsv",))
    assert not [name for name in plain.table().colnames if name.startswith("sersic_")]


def checked(root, **changes):
    catalog, _ = make_survey(root, 1)
    config = SurveyConfig.parse(settings(**changes))
    return preflight(read_catalog(catalog), config, root=str(root), store=root)


def test_a_missing_extra_is_told_before_anything_runs(tmp_path, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        "pxdask.morphology.stage.find_spec", lambda name: None if name == "jax" else real(name)
    )
    found = checked(tmp_path, **PROFILED)
    assert [str(one) for one in found.fatal] == [
        "the run: morphology needs JAX: pip install 'pxdask[morphology]'"
    ]
    with pytest.raises(ConfigError, match=r"morphology needs JAX"):
        submitted(tmp_path, **PROFILED)


def test_what_profiles_cannot_use_is_told_before_anything_runs(tmp_path):
    prior = {"n": {"mean": "n_ground", "std": 0.5}}
    found = checked(tmp_path, morphology={"priors": prior})
    assert [one.galaxy for one in found.problems] == ["g00"]
    assert "n_ground" in found.problems[0].message
    bands = settings()["bands"]
    bands[0] = {**bands[0], "psf": {"kernel": "{data_root}/images/g00/g.fits"}}
    config = SurveyConfig.parse(settings(bands=bands, images={"target_psf": "i"}, **PROFILED))
    (problem,) = preflight(
        read_catalog(tmp_path / "catalog.ecsv"), config, root=str(tmp_path), store=tmp_path
    ).fatal
    assert problem.band == "g"
    assert "a kernel is not" in problem.message


def test_bands_must_be_the_survey_s():
    with pytest.raises(ConfigError, match=r"morphology\.bands names band 'z'"):
        SurveyConfig.parse(settings(morphology={"bands": ["z"]}))


@pytest.mark.usefixtures("stand_in")
def test_the_catalogue_command_s_table_gives_regions(tmp_path):
    catalog, config = make_survey(tmp_path, 2)
    table = tmp_path / "sizes.ecsv"
    words = [str(catalog), str(config), "-o", str(table), "--data-root", str(tmp_path)]
    done = CliRunner().invoke(app, ["morphology", *words, "--serial", "--semi-major", "4"])
    assert done.exit_code == 0, done.output
    found = Table.read(table)
    assert list(found["id"]) == ["g00", "g01"]
    assert list(found["sersic_band"]) == ["r", "r"]
    np.testing.assert_allclose(found["sersic_semi_major"], 4 * 2.2)
    assert found["sersic_semi_major"].unit == "arcsec"
    region = {
        "kind": "ellipse",
        "semi_major": "sersic_semi_major",
        "axis_ratio": "sersic_axis_ratio",
        "angle": "sersic_angle",
    }
    run = pxdask.submit(
        table,
        SurveyConfig.parse(settings(images={"region": region})),
        tmp_path / "run",
        root=tmp_path,
        serial=True,
        progress=False,
    )
    cube = run.dataset("g00", "cube")
    assert cube.attrs["region_semi_major"] == pytest.approx(8.8)
    assert cube.attrs["region_semi_minor"] == pytest.approx(8.8 * (1 - 0.25 * 1.1))
    assert cube.attrs["region_angle"] == pytest.approx(7.0)
    again = CliRunner().invoke(app, ["morphology", *words, "--serial"])
    assert again.exit_code != 0
    assert "--overwrite" in str(again.exception) + again.output


@pytest.mark.usefixtures("stand_in")
def test_a_galaxy_that_cannot_be_fitted_has_its_reason_in_the_table(tmp_path):
    catalog, config = make_survey(tmp_path, 2)
    (tmp_path / "images" / "g01" / "r.fits").unlink()
    table = fit_profiles(catalog, config, root=tmp_path, serial=True, band="i", batch=1)
    assert list(table["sersic_error"] != "") == [False, True]
    assert "r.fits" in table["sersic_error"][1]
    assert table["sersic_band"][0] == "i"
    assert np.isnan(table["sersic_r_eff"][1])
    assert table["sersic_flags"].dtype.kind == "i"


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize("change", ["absent", "nan", "masked"])
def test_a_catalogue_without_redshifts_has_profiles_but_no_kiloparsecs(tmp_path, change):
    catalog, config = make_survey(tmp_path, 2)
    galaxies = Table.read(catalog, format="ascii.ecsv")
    if change == "absent":
        galaxies.remove_column("redshift")
    else:
        galaxies = Table(galaxies, masked=True)
        galaxies["redshift"][1] = np.nan
        galaxies["redshift"].mask[1] = change == "masked"
    table = fit_profiles(galaxies, config, root=tmp_path, serial=True)
    assert list(table["sersic_error"]) == ["", ""]
    np.testing.assert_allclose(table["sersic_r_eff_g"], 2.0)
    known = np.isfinite(table["sersic_r_eff_kpc_g"].filled(np.nan) if table.masked else
                        table["sersic_r_eff_kpc_g"])  # fmt: skip
    assert list(known) == [change != "absent", False]
    assert ("redshift" in table.colnames) == (change != "absent")


def test_a_redshift_that_is_no_number_or_below_zero_is_still_a_fault(tmp_path):
    catalog, config = make_survey(tmp_path, 2)
    galaxies = Table.read(catalog, format="ascii.ecsv")
    for wrong in (-1.0, np.inf):
        galaxies["redshift"][1] = wrong
        with pytest.raises(ConfigError, match="row 1, column redshift"):
            fit_profiles(galaxies, config, root=tmp_path, serial=True)


def test_a_catalogue_of_points_has_their_fluxes(tmp_path, monkeypatch):
    def points(ready, *, config, seed):
        shapes = ("r_eff", "n", "ellip", "theta")
        whole = fit_nothing(ready, config=config, seed=seed)
        return [
            one.drop_vars(
                [name for name in one.data_vars if name in shapes or name.startswith(
                    tuple(f"{shape}_" for shape in shapes if shape != "n"))]
                + [f"n_{end}" for end in ("mean", "std", "best", "curve")]
            )
            for one in whole
        ]  # fmt: skip

    monkeypatch.setattr("pxdask.survey.profile_catalog.fit_galaxies", points)
    catalog, _ = make_survey(tmp_path, 1)
    config = SurveyConfig.parse(settings(morphology={"profile": "point"}))
    table = fit_profiles(catalog, config, root=tmp_path, serial=True)
    assert list(table["sersic_error"]) == [""]
    np.testing.assert_allclose(table["sersic_flux_r"].value, 55.0)
    assert "sersic_r_eff" not in table.colnames
    assert "sersic_semi_major" not in table.colnames


def test_a_band_that_is_not_fitted_cannot_be_the_reference(tmp_path):
    catalog, config = make_survey(tmp_path, 1)
    with pytest.raises(ConfigError, match="'z' is not fitted"):
        fit_profiles(catalog, config, root=tmp_path, serial=True, band="z")


def test_records_of_failures_are_not_the_galaxy_s():
    from pxdask.survey.watch.tally import Tally

    tally = Tally(total=1, started=0.0)
    tally.note(Record("g", "morphology", "", "k", "failed", error="why"), now=1.0)
    assert tally.summary(now=2.0).failed == 0


@pytest.mark.slow
@pytest.mark.cluster
def test_the_engine_works_in_dask_workers_beside_other_stages(tmp_path):
    catalog, _ = make_survey(tmp_path, 4)
    # no PSF has blurred the images, and they have no sky
    bands = [{**band, "psf": {"fwhm": 0.3}} for band in settings()["bands"]]
    changes = {"bands": bands, "morphology": {"n_draws": 50, "sky": "none"}}
    config = SurveyConfig.parse(settings(**changes))
    run = pxdask.submit(catalog, config, tmp_path / "run", root=tmp_path, workers=2, progress=False)
    assert len(run.failures()) == 0, list(run.failures()["error"])
    run.collect(formats=("ecsv",))
    table = run.table()
    # round discs of scale 4 pixels of 1 arcsec, of which half the light is within 1.678 scales; 3 %
    # for the S/N of 100 and the cusp, which the images have sampled, not integrated, over a pixel
    for band in "gri":
        np.testing.assert_allclose(table[f"sersic_r_eff_{band}"].value, 1.678 * 4.0, rtol=0.03)
        np.testing.assert_allclose(table[f"sersic_n_{band}"], 1.0, atol=0.05)
        # 3 standard deviations of chi-square of 1024 pixels
        np.testing.assert_allclose(table[f"sersic_chi2_{band}"], 1.0, atol=0.14)
        assert (table[f"sersic_axis_ratio_{band}"] > 0.9).all()
    alone = submitted(tmp_path, store="alone", **changes)
    one, other = (each.morphology("g02")["r_eff"].values for each in (run, alone))
    np.testing.assert_allclose(one, other, rtol=1e-9)
