"""A run goes from images to maps, resumes, isolates failures, and does nothing twice."""

import re
from collections import Counter

import numpy as np
import pytest
import yaml
from astropy.io import fits
from astropy.units import Unit
from astropy.wcs import WCS

import pxdask
from pxdask.core.errors import ConfigError
from tests.survey.mini import REDSHIFT, SIDE, make_survey, outputs, position, settings, write_galaxy

STAGES = {"image": 9, "cube": 3, "bins": 3, "maps": 3, "products": 3}


def submit(root, catalog, config, **choices):
    choices = {"serial": True, "progress": False, **choices}
    return pxdask.submit(catalog, config, root / "run", root=root, **choices)


def new_rows(run, n_before):
    return Counter((row["stage"], row["outcome"]) for row in run.manifest()[n_before:])


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    root = tmp_path_factory.mktemp("finished")
    return root, submit(root, *make_survey(root))


@pytest.fixture
def survey(tmp_path):
    return tmp_path, *make_survey(tmp_path)


def test_settings_that_were_refused_can_be_mended_without_update(survey):
    root, catalog, config = survey
    good = config.read_text()
    config.write_text(good.replace("sdss_r", "sdss_rr"))
    with pytest.raises(ConfigError, match="'sdss_rr' is neither a known filter"):
        submit(root, catalog, config)
    config.write_text(good)
    assert submit(root, catalog, config, galaxies=["g00"]).finished() == ["g00"]


def test_what_differs_between_bands_is_named(survey):
    root, catalog, config = survey
    submit(root, catalog, config, galaxies=["g00"])
    good = config.read_text()
    config.write_text(good.replace("sdss_r", "sdss_z"))
    with pytest.raises(ConfigError, match=r"- bands\.r\.filter: 'sdss_r' there, 'sdss_z' given"):
        submit(root, catalog, config)
    values = yaml.safe_load(good)
    values["bands"].reverse()
    config.write_text(yaml.safe_dump(values))
    with pytest.raises(ConfigError, match=r"order of bands: \['g', 'r', 'i'\] there"):
        submit(root, catalog, config)


def test_maps_of_every_galaxy(finished):
    _, run = finished
    assert run.finished() == ["g00", "g01", "g02"]
    for index, name in enumerate(run.finished()):
        maps = run.maps(name)
        inside = run.dataset(name, "bins")["bin_map"].values >= 0
        assert inside.sum() > 30
        assert np.isfinite(maps["log_mw_age"].values[1][inside]).all()
        # a pixel without flux has no part of its bin's mass
        assert np.isfinite(maps["log_mass"].values[1][inside]).mean() > 0.9
        path = run.product_paths(name)["maps"]
        with fits.open(path) as hdus:
            hdus.verify("exception")
            image = next(hdu for hdu in hdus if hdu.name == "LOG_MASS")
            ra, dec = WCS(image.header, naxis=2).pixel_to_world_values(
                (SIDE - 1) / 2, (SIDE - 1) / 2
            )
        assert (ra, dec) == pytest.approx(position(index), abs=1e-6)
        assert run.product_paths(name)["summary"].read_bytes().startswith(b"\x89PNG")


def test_tables_have_units(finished):
    _, run = finished
    bins = run.bins()
    assert set(bins["galaxy"]) == {"g00", "g01", "g02"}
    assert bins["log_mass_p50"].unit == Unit("dex(Msun)")
    assert str(run.manifest()["seconds"].unit) == "s"
    assert run.status()["failed"].sum() == 0


@pytest.mark.slow
def test_second_run_does_nothing(survey):
    root, catalog, config = survey
    first = submit(root, catalog, config)
    before, n_rows = outputs(first.store), len(first.manifest())
    times = {path: path.stat().st_mtime_ns for path in first.store.rglob("*.zip")}
    again = submit(root, catalog, config)
    assert len(again.manifest()) == n_rows
    assert outputs(again.store) == before
    assert {path: path.stat().st_mtime_ns for path in again.store.rglob("*.zip")} == (
        times | {path: path.stat().st_mtime_ns for path in (again.store / "models").iterdir()}
    )


@pytest.mark.slow
def test_change_reruns_only_what_depends_on_it(survey):
    root, catalog, config = survey
    n_rows = len(submit(root, catalog, config).manifest())
    config.write_text(yaml.safe_dump(settings(fit={"block_size": 4, "systematic_error": 0.1})))
    with pytest.raises(ConfigError, match=r"fit\.systematic_error: 0\.05 there, 0\.1 given"):
        submit(root, catalog, config)
    counts = new_rows(submit(root, catalog, config, update=True), n_rows)
    assert {stage for stage, _ in counts} == {"fit", "maps", "products"}
    assert counts["maps", "done"] == 3


@pytest.mark.slow
def test_new_image_reruns_its_galaxy(survey):
    root, catalog, config = survey
    n_rows = len(submit(root, catalog, config).manifest())
    write_galaxy(root / "images" / "g01", 1, side=SIDE + 2)
    run = submit(root, catalog, config)
    assert set(run.manifest()[n_rows:]["id"]) == {"g01"}
    assert run.dataset("g01", "cube").sizes["y"] == SIDE + 2


@pytest.mark.slow
def test_lost_output_is_made_again(survey):
    root, catalog, config = survey
    first = submit(root, catalog, config)
    before, n_rows = outputs(first.store), len(first.manifest())
    (first.store / "galaxies").joinpath(
        *first.product_paths("g02")["maps"].relative_to(first.store / "galaxies").parts
    ).unlink()
    cube = next((first.store / "galaxies").rglob("g00/cube-*"))
    cube.write_bytes(cube.read_bytes()[:-40])
    for path in first.product_paths("g00").values():
        path.unlink()
    run = submit(root, catalog, config)
    assert outputs(run.store) == before
    counts = Counter((row["id"], row["stage"]) for row in run.manifest()[n_rows:])
    assert counts == {("g02", "products"): 1, ("g00", "cube"): 1, ("g00", "products"): 1}


def test_one_galaxy_one_stage(survey):
    root, catalog, config = survey
    run = submit(root, catalog, config, galaxies=("g01",))
    assert run.finished() == ["g01"]
    with pytest.raises(ConfigError, match="not in the catalogue: g99"):
        submit(root, catalog, config, galaxies=("g99",))
    n_rows = len(run.manifest())
    counts = new_rows(submit(root, catalog, config, galaxies=("g01",), from_stage="maps"), n_rows)
    assert counts == {("maps", "done"): 1, ("products", "done"): 1}
    with pytest.raises(ConfigError, match="no stage 'map'; the stages are image"):
        submit(root, catalog, config, from_stage="map")


@pytest.mark.slow
def test_damaged_output_is_told_and_made_again(survey):
    root, catalog, config = survey
    first = submit(root, catalog, config, galaxies=("g00",))
    before = outputs(first.store)
    path = next((first.store / "galaxies").rglob("g00/bins-*"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    for product in first.product_paths("g00").values():
        product.unlink()
    run = submit(root, catalog, config, galaxies=("g00",))
    assert re.search(r"bins-.* is damaged: .*; it is removed", run.failures()["error"][0])
    healed = submit(root, catalog, config, galaxies=("g00",))
    assert outputs(healed.store) == before
    assert len(healed.failures()) == 0


def test_a_file_that_comes_late_is_found(survey):
    root, catalog, config = survey
    late = root / "images" / "g00" / "r.fits"
    content = late.read_bytes()
    late.unlink()
    run = submit(root, catalog, config, galaxies=("g00",))
    assert list(run.failures()["stage"]) == ["inputs"]
    assert len(submit(root, catalog, config, galaxies=("g00",)).manifest()) == 1
    late.write_bytes(content)
    run = submit(root, catalog, config, galaxies=("g00",))
    assert len(run.failures()) == 0
    assert run.finished() == ["g00"]


@pytest.mark.slow
def test_failure_stays_with_its_galaxy_and_is_not_repeated(survey):
    root, catalog, config = survey
    path = root / "images" / "g01" / "r.fits"
    with fits.open(path) as hdus:
        fits.writeto(path, np.full_like(hdus[0].data, np.nan), hdus[0].header, overwrite=True)
    run = submit(root, catalog, config)
    assert run.finished() == ["g00", "g02"]
    failures = run.failures()
    assert [(row["id"], row["stage"], row["part"]) for row in failures] == [("g01", "image", "r")]
    assert "NaN" in failures[0]["error"]
    n_rows = len(run.manifest())
    assert len(submit(root, catalog, config).manifest()) == n_rows
    retried = submit(root, catalog, config, retry_failed=True)
    assert new_rows(retried, n_rows)["image", "failed"] == 1
    write_galaxy(root / "images" / "g01", 1)
    assert submit(root, catalog, config).finished() == ["g00", "g01", "g02"]


@pytest.mark.slow
def test_resume_from_another_folder(survey, monkeypatch, tmp_path_factory):
    root, catalog, config = survey
    submit(root, catalog, config, galaxies=("g00",))
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    run = pxdask.resume(root / "run", serial=True, progress=False)
    assert run.finished() == ["g00", "g01", "g02"]
    assert float(run.catalog["redshift"][0]) == REDSHIFT


def test_a_folder_of_something_else_is_left_alone(survey):
    root, catalog, config = survey
    (root / "run").mkdir()
    (root / "run" / "thesis.txt").write_text("precious")
    with pytest.raises(ConfigError, match="not empty and not a run"):
        submit(root, catalog, config)
    with pytest.raises(ConfigError, match="is not a run"):
        pxdask.open_run(root / "run")


def test_asking_for_what_is_not_there(finished):
    _, run = finished
    with pytest.raises(ConfigError, match="no maps of galaxy 'g77': it is not in the catalogue"):
        run.maps("g77")
