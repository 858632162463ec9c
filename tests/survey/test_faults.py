"""Thirty galaxies, some of them broken: the rest is finished, each bad one has a reason."""

import numpy as np
import pytest
import yaml
from astropy.io import fits
from astropy.table import Table

import pxdask
from pxdask.core.config import SurveyConfig
from pxdask.io.catalog import read_catalog
from pxdask.survey.preflight import preflight
from tests.survey.mini import make_survey, settings

N_GALAXY = 30
UNKNOWN = "sdss_rr"


def rewrite(path, change):
    with fits.open(path) as hdus:
        header, data = hdus[0].header, hdus[0].data.copy()
    data = change(header, data)
    fits.writeto(path, data, header, overwrite=True)


def missing_file(folder):
    (folder / "r.fits").unlink()


def truncated_file(folder):
    path = folder / "g.fits"
    path.write_bytes(path.read_bytes()[:4000])


def all_nan(folder):
    rewrite(folder / "i.fits", lambda _, data: np.full_like(data, np.nan))


def misses_target(folder):
    def move(header, data):
        header["CRVAL2"] += 1.0
        return data

    rewrite(folder / "r.fits", move)


def zero_errors(folder):
    rewrite(folder / "g_err.fits", lambda _, data: 0 * data)


def unknown_unit(folder):
    def relabel(header, data):
        header["BUNIT"] = "bananas"
        return data

    rewrite(folder / "g.fits", relabel)


FAULTS = {
    "g03": (missing_file, "inputs", ["r.fits", "no such file"]),
    "g07": (truncated_file, "inputs", ["g.fits", "4000"]),
    "g11": (all_nan, "image", ["NaN"]),
    "g15": (misses_target, "inputs", ["r.fits", "outside"]),
    "g19": (zero_errors, "image", ["zero"]),
    "g23": (None, "inputs", [UNKNOWN, "sdss_r"]),
    "g27": (unknown_unit, "image", ["bananas"]),
}
PIXELS_ONLY = {"g11", "g19"}
"""Faults that no header tells."""


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    root = tmp_path_factory.mktemp("faults")
    catalog, config = make_survey(root, N_GALAXY)
    for name, (spoil, _, _) in FAULTS.items():
        if spoil:
            spoil(root / "images" / name)
    table = Table.read(catalog)
    table["r_filter"] = [UNKNOWN if name == "g23" else "sdss_r" for name in table["id"]]
    table.write(catalog, overwrite=True)
    values = settings()
    values["bands"][1]["filter"] = "{r_filter}"
    config.write_text(yaml.safe_dump(values))
    return root, catalog, config


def test_preflight_tells_what_headers_tell(survey):
    root, catalog, config = survey
    found = preflight(
        read_catalog(catalog), SurveyConfig.load(config), root=str(root), store=root / "run"
    )
    assert not found.fatal
    assert found.bad_galaxies == set(FAULTS) - PIXELS_ONLY
    assert {problem.galaxy for problem in found.problems} == found.bad_galaxies
    assert len(found.problems) == len(found.bad_galaxies)
    for problem in found.problems:
        for word in FAULTS[problem.galaxy][2]:
            assert word in str(problem)


@pytest.mark.slow
def test_the_rest_is_finished_and_each_bad_one_is_one_row(survey, caplog):
    root, catalog, config = survey
    caplog.set_level("CRITICAL")
    run = pxdask.submit(catalog, config, root / "run", root=root, serial=True, progress=False)
    assert len(run.finished()) == N_GALAXY - len(FAULTS)
    manifest = run.manifest()
    failed = manifest[manifest["outcome"] == "failed"]
    assert sorted(failed["id"]) == sorted(FAULTS)
    for row in failed:
        _, stage, words = FAULTS[row["id"]]
        assert row["stage"] == stage
        for word in words:
            assert word in row["error"], row["error"]


def test_faults_of_the_whole_run_stop_it(survey):
    root, catalog, _ = survey
    values = settings()
    values["bands"][0]["filter"] = UNKNOWN
    found = preflight(
        read_catalog(catalog)[:2], SurveyConfig.parse(values), root=str(root), store=root / "run"
    )
    assert [UNKNOWN in problem.message for problem in found.fatal] == [True]
    values["bands"][0] |= {"filter": "sdss_g", "image": "{data_root}/{field}/g.fits"}
    found = preflight(
        read_catalog(catalog)[:2], SurveyConfig.parse(values), root=str(root), store=root / "run"
    )
    assert "needs 'field'" in found.problems[0].message


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"models": {"ssp": "bc30"}}, ["models.ssp is 'bc30'"]),
        ({"models": {"ssp": "synthetic", "priors": {"log_agee": 1.0}}}, ["'log_agee'", "log_age"]),
        ({"images": {"target_psf": "g"}}, ["band 'r'", "1.5 arcsec", "target's 1 arcsec"]),
    ],
)
def test_settings_that_no_galaxy_could_be_made_with_are_found_before_the_run(survey, change, words):
    root, catalog, _ = survey
    values = {**settings(), **change}
    values["bands"][0]["psf"], values["bands"][1]["psf"] = {"fwhm": 1.0}, {"fwhm": 1.5}
    values["bands"][2]["psf"] = {"fwhm": 1.0}
    found = preflight(
        read_catalog(catalog)[:2], SurveyConfig.parse(values), root=str(root), store=root / "run"
    )
    (problem,) = found.fatal
    for word in words:
        assert word in problem.message


def test_an_absent_data_root_is_one_problem(survey):
    root, catalog, config = survey
    nowhere = str(root / "nowhere")
    found = preflight(
        read_catalog(catalog), SurveyConfig.load(config), root=nowhere, store=root / "run"
    )
    (problem,) = found.problems
    assert f"no such folder: {nowhere}; give the one" in problem.message
