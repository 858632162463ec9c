"""Models that galaxies share: built before, or at redshifts of the survey."""

import shutil

import numpy as np
import pytest

from pxdask.core.errors import ConfigError, DamagedError, DataError
from pxdask.core.models import ModelConfig
from pxdask.core.schema import MODELS
from pxdask.survey import stored_models
from pxdask.survey.generate import build_models
from pxdask.survey.products import NEAREST, model_set, store_products
from pxdask.survey.stored_models import library_models
from pxdask.survey.submit import submit
from tests.survey.mini import BANDS, REDSHIFT, make_survey, outputs

FILTERS = list(BANDS.values())
SETTINGS = ModelConfig(ssp="synthetic", n_models=200)


def built(out, redshifts=(REDSHIFT,), settings=SETTINGS, filters=None):
    names = filters or [*reversed(FILTERS), "2mass_j"]
    return build_models(settings, names, out, redshifts=redshifts, seed=1)


def models_of(root, settings, redshift=REDSHIFT):
    products = store_products(root, settings, FILTERS)
    return model_set(products, settings, BANDS, redshift=redshift, seed=1)


def with_library(path, **changes):
    return SETTINGS.model_copy(update={"stored": str(path), **changes})


def test_a_library_gives_the_models_that_would_be_made(tmp_path):
    library = built(tmp_path / "m.zarr")
    read = MODELS.validate(models_of(tmp_path, with_library(library, n_models=7)))
    made = models_of(tmp_path, SETTINGS)
    assert list(read["band"].values) == list(BANDS)
    for name in made.variables:
        np.testing.assert_array_equal(read[name].values, made[name].values)


def test_a_large_library_is_read_in_single_precision(tmp_path, monkeypatch):
    library = built(tmp_path / "m.zarr")
    made = models_of(tmp_path, SETTINGS)
    monkeypatch.setattr(stored_models, "SINGLE_FROM", 200)
    read = MODELS.validate(library_models(library, FILTERS, REDSHIFT))
    np.testing.assert_array_equal(read["flux"].values, made["flux"].values)
    for name in (name for name in made.data_vars if made[name].dims == ("model",)):
        assert read[name].dtype == np.float32
        assert read[name].attrs == made[name].attrs
        # no more than nothing: 1e-14 per surviving mass is the least that is reported
        np.testing.assert_allclose(read[name].values, made[name].values, rtol=6e-8, atol=1e-38)


def test_a_filter_that_a_library_lacks_is_named(tmp_path):
    library = built(tmp_path / "m.zarr")
    with pytest.raises(DataError, match=r"m\.zarr have no filter wise_w1$"):
        library_models(library, [*FILTERS, "wise_w1"], REDSHIFT)


def test_a_library_at_many_redshifts_is_interpolated(tmp_path):
    library = built(tmp_path / "m.zarr", redshifts=(0.04, 0.045, 0.05, 0.055))
    read = models_of(tmp_path, with_library(library), redshift=0.0525)
    assert read.attrs["redshift"] == 0.0525
    made = models_of(tmp_path, SETTINGS, redshift=0.0525)
    ratio = np.median(read["flux"].values / made["flux"].values)
    # the ages are cut at z = 0.055, so models differ a little; distances would be off by 10 %
    assert ratio == pytest.approx(1, abs=0.01)
    with pytest.raises(DataError, match=r"outside the models' grid, \[0\.04, 0\.055\]"):
        models_of(tmp_path, with_library(library), redshift=0.06)


def test_a_library_of_free_redshift_serves_any_galaxy(tmp_path):
    prior = {"kind": "gaussian", "mean": 0.1, "sigma": 0.01, "low": 0.09, "high": 0.11}
    free = ModelConfig(ssp="synthetic", n_models=200, priors={"redshift": prior})
    library = built(tmp_path / "m.zarr", redshifts=(), settings=free)
    chosen = free.model_copy(update={"stored": str(library)})
    near, far = (models_of(tmp_path, chosen, redshift=z) for z in (0.01, 2.0))
    np.testing.assert_array_equal(near["redshift"].values, far["redshift"].values)
    made = models_of(tmp_path, free, redshift=0.5)
    np.testing.assert_array_equal(near["flux"].values, made["flux"].values)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dust": "kriek_conroy"}, r"models\.dust is 'calzetti' there, 'kriek_conroy' in the run"),
        ({"hubble": 67.0}, r"models\.hubble is 70\.0 there, 67\.0 in the run"),
        ({"derived": ("av",)}, r"models\.derived"),
        ({"priors": {"dust2": {"low": 0, "high": 1}}}, r"models\.priors is \{\} there"),
    ],
)
def test_a_library_of_other_settings_is_refused(tmp_path, changes, message):
    library = built(tmp_path / "m.zarr")
    other = ModelConfig.model_validate({**with_library(library).model_dump(), **changes})
    with pytest.raises(ConfigError, match=message):
        store_products(tmp_path, other, FILTERS)


def test_a_library_without_a_filter_or_with_another_curve_is_refused(tmp_path):
    curve = tmp_path / "r.txt"
    curve.write_text("6000 0\n6100 1\n6200 0\n")
    library = built(tmp_path / "m.zarr", filters=["sdss_g", str(curve)])
    curve.write_text("6000 0\n6150 1\n6200 0\n")
    with pytest.raises(ConfigError) as caught:
        store_products(tmp_path, with_library(library), [*FILTERS, str(curve)])
    assert "it has no filter 'sdss_i'" in str(caught.value)
    assert "it has no filter 'sdss_r'" in str(caught.value)
    assert f"its curve of filter {str(curve)!r} is another than the run's" in str(caught.value)


def test_a_library_of_other_populations_is_refused(tmp_path, monkeypatch):
    library = built(tmp_path / "m.zarr")
    from pxdask.survey import products

    other = products.synthetic_ssp().assign_attrs(imf="other")
    monkeypatch.setattr(products, "synthetic_ssp", lambda: other)
    with pytest.raises(ConfigError, match=r"its populations are .*'imf': 'none'"):
        store_products(tmp_path, with_library(library), FILTERS)


def test_a_library_at_another_redshift_is_refused(tmp_path):
    library = built(tmp_path / "m.zarr")
    with pytest.raises(DataError, match=r"are for redshift 0\.05, the galaxy is at 0\.06"):
        models_of(tmp_path, with_library(library), redshift=0.06)


def test_a_library_that_is_none_or_damaged(tmp_path):
    with pytest.raises(ConfigError, match="is not a set of models"):
        store_products(tmp_path, with_library(tmp_path / "absent"), FILTERS)
    library = built(tmp_path / "m.zarr")
    (library / "flux" / "c" / "0" / "0").unlink()
    with pytest.raises(DamagedError, match="flux has 0 of 1"):
        store_products(tmp_path, with_library(library), FILTERS)


def test_key_is_that_of_the_content(tmp_path):
    paths = built(tmp_path / "a"), built(tmp_path / "b")
    other = built(tmp_path / "c", settings=SETTINGS.model_copy(update={"n_models": 201}))
    keys = [store_products(tmp_path, with_library(path), FILTERS).key for path in (*paths, other)]
    assert keys[0] == keys[1] != keys[2]
    assert len(store_products(tmp_path, SETTINGS, FILTERS).key) == 2


def test_galaxies_share_models_between_redshifts(tmp_path):
    shared = SETTINGS.model_copy(update={"redshift_step": 0.01})
    products = store_products(tmp_path, shared, FILTERS)
    from pxdask.survey import products as module

    module._shared_grid.cache_clear()
    for redshift in (0.051, 0.055, 0.0605):  # ln(1 + z) from 0.0497 to 0.0587: two intervals
        models = model_set(products, shared, BANDS, redshift=redshift, seed=1)
        assert models.attrs["redshift"] == redshift
        exact = models_of(tmp_path, SETTINGS, redshift=redshift)
        ratio = models["flux"].values / exact["flux"].values
        assert np.median(ratio) == pytest.approx(1, abs=0.01)
        np.testing.assert_array_equal(models["dust2"].values, exact["dust2"].values)
    assert module._shared_grid.cache_info().misses == 2


@pytest.mark.parametrize("redshift", [NEAREST / 2, NEAREST, 3e-4])
def test_the_nearest_galaxies(tmp_path, redshift):
    shared = SETTINGS.model_copy(update={"redshift_step": 0.01})
    models = models_of(tmp_path, shared, redshift=redshift)
    exact = models_of(tmp_path, SETTINGS, redshift=redshift)
    ratio = models["flux"].values / exact["flux"].values
    assert np.median(ratio) == pytest.approx(1, abs=0.02)


@pytest.mark.slow
def test_a_run_with_a_library_gives_the_maps_of_one_without(tmp_path):
    catalog, config = make_survey(tmp_path, 1)

    def run(name, settings):
        return submit(
            catalog, settings, tmp_path / name, root=tmp_path, serial=True, progress=False
        )

    plain = run("plain", config)
    chosen = plain.config.models
    library = build_models(chosen, FILTERS, tmp_path / "m.zarr", redshifts=(REDSHIFT,), seed=1)
    shutil.copytree(library, tmp_path / "copy.zarr")

    def given(path):
        models = chosen.model_copy(update={"stored": str(path)})
        return plain.config.model_copy(update={"models": models})

    one = run("one", given(library))
    assert one.finished() == ["g00"]
    for name, maps in plain.maps("g00").data_vars.items():
        np.testing.assert_array_equal(maps.values, one.maps("g00")[name].values)
    run("other", given(tmp_path / "copy.zarr"))
    # what the library holds counts, and not where it is
    assert outputs(tmp_path / "one") == outputs(tmp_path / "other")
    assert outputs(tmp_path / "one").keys() != outputs(tmp_path / "plain").keys()
