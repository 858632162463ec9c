"""Other ways to bin, from the settings to the maps; bins that the user gives."""

import numpy as np
import pytest
from astropy.io import fits

from pxdask.core.config import SurveyConfig
from pxdask.core.errors import ConfigError, DataError
from pxdask.io.catalog import read_catalog, rows
from pxdask.io.fits import write_image
from pxdask.survey.inspect import inspect_galaxy
from pxdask.survey.pipeline import Pipeline
from pxdask.survey.preflight import preflight
from pxdask.survey.products import store_products
from pxdask.survey.submit import submit
from pxdask.survey.work import RunContext, plan_galaxy
from tests.survey.mini import BANDS, SIDE, header, make_survey

QUADRANTS = np.kron([[1, 2], [3, 40]], np.ones((SIDE // 2, SIDE // 2), dtype="i2"))
GIVEN = {"method": "map", "map": "{data_root}/bins/{id}.fits", "snr": 20.0}


def write_map(root, pixels=QUADRANTS, index=0, cards=None):
    path = root / "bins" / f"g{index:02d}.fits"
    write_image(path, pixels, header(index) if cards is None else cards)
    return path


def first_row(catalog):
    return next(rows(read_catalog(catalog)))


def keys_of(root, catalog, path):
    config = SurveyConfig.load(path)
    products = store_products(root / "run", config.models, BANDS.values())
    plan = plan_galaxy(first_row(catalog), RunContext(root / "run", config, products, str(root)))
    return plan.keys


@pytest.mark.parametrize("method", ["squares", "annuli"])
def test_other_methods_give_maps(tmp_path, method):
    binning = {"method": method, "size": 4, "snr": 20.0}
    catalog, path = make_survey(tmp_path, 1, binning=binning)
    run = submit(catalog, path, tmp_path / "run", root=tmp_path, serial=True, progress=False)
    assert run.finished() == ["g00"]
    bin_map, maps = run.dataset("g00", "bins")["bin_map"].values, run.maps("g00")
    # pixels of negative flux have no share of their bin's mass
    mass = maps["log_mass"].sel(quantile=0.5).values
    assert np.isfinite(mass[bin_map >= 0]).mean() > 0.98
    assert np.isnan(mass[bin_map < 0]).all()
    if method == "squares":
        assert np.bincount(bin_map[bin_map >= 0]).max() == 16
    else:  # a round disc of 32 pixels: some four rings, of ever more pixels but for the last
        assert 3 <= bin_map.max() <= 6
    with fits.open(run.product_paths("g00")["maps"]) as hdus:
        assert len(hdus) > 3


def test_a_given_map_is_what_is_fitted(tmp_path):
    catalog, path = make_survey(tmp_path, 1, binning=GIVEN)
    write_map(tmp_path)
    run = submit(catalog, path, tmp_path / "run", root=tmp_path, serial=True, progress=False)
    assert run.finished() == ["g00"]
    bins = run.dataset("g00", "bins")
    assert bins.sizes["bin"] == 4
    inside = bins["bin_map"].values >= 0
    np.testing.assert_array_equal(
        bins["bin_map"].values[inside], np.unique(QUADRANTS[inside], return_inverse=True)[1]
    )


def test_the_key_follows_the_content_not_the_name(tmp_path):
    catalog, path = make_survey(tmp_path, 1, binning=GIVEN)
    write_map(tmp_path)
    one = keys_of(tmp_path, catalog, path)
    write_map(tmp_path, QUADRANTS % 3 + 1)
    other = keys_of(tmp_path, catalog, path)
    assert one.cube == other.cube
    assert one.bins != other.bins
    assert one.fit != other.fit
    moved = path.with_name("moved.yaml")
    moved.write_text(path.read_text().replace("bins/{id}", "bins/../bins/{id}"))
    assert keys_of(tmp_path, catalog, moved).bins == other.bins


@pytest.mark.parametrize(
    ("pixels", "cards", "message"),
    [
        (np.ones((5, 6), "i2"), None, r"map of bins .*g00\.fits is \(5, 6\).*grid \(32, 32\)"),
        (QUADRANTS, header(1), r"not on the galaxy's grid.* corners are 4\d\d\.\d pixels away"),
        (None, None, r"no such file: .*bins/g00\.fits"),
    ],
)
def test_a_map_that_cannot_be_is_told_before_the_run(tmp_path, pixels, cards, message):
    catalog, path = make_survey(tmp_path, 1, binning=GIVEN)
    config, root = SurveyConfig.load(path), str(tmp_path)
    if pixels is not None:
        write_map(tmp_path, pixels, cards=cards)
    with pytest.raises(DataError, match=message):
        inspect_galaxy(first_row(catalog), config, root=root)
    found = preflight(read_catalog(catalog), config, root=root, store=tmp_path / "run")
    assert [problem.galaxy for problem in found.problems] == ["g00"]
    with pytest.raises(ConfigError, match=message):
        raise ConfigError(found.problems[0].message)


def test_a_map_without_coordinates_is_believed(tmp_path):
    catalog, path = make_survey(tmp_path, 1, binning=GIVEN)
    write_map(tmp_path, cards={})
    config = SurveyConfig.load(path)
    inputs = inspect_galaxy(first_row(catalog), config, root=str(tmp_path))
    products = store_products(tmp_path / "run", config.models, BANDS.values())
    given = Pipeline(inputs, config, products).stage("bins").given
    np.testing.assert_array_equal(given, QUADRANTS)
    assert not preflight(
        read_catalog(catalog), config, root=str(tmp_path), store=tmp_path / "run"
    ).problems


def test_the_template_must_be_one_of_the_catalogue(tmp_path):
    catalog, path = make_survey(tmp_path, 1, binning={**GIVEN, "map": "{tile}.fits"})
    config = SurveyConfig.load(path)
    with pytest.raises(DataError, match="needs 'tile'"):
        inspect_galaxy(first_row(catalog), config, root=str(tmp_path))
    with pytest.raises(ConfigError, match=r"needs the path of a map"):
        SurveyConfig.parse({**config.model_dump(), "binning": {"method": "map"}})
