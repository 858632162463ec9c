"""Sets of models on disk: whole or absent, the same bytes whoever writes them."""

import numpy as np
import pytest
import xarray as xr

from pxdask.core.errors import ConfigError, DamagedError, SchemaError, StoreError
from pxdask.core.schema import MODEL_GRID, MODELS
from pxdask.io import model_store
from pxdask.io.model_store import (
    blocks,
    create_store,
    discard_store,
    is_complete,
    opened_models,
    publish_store,
    read_models,
    write_block,
)
from pxdask.testing import digest, fake_models

N_MODELS = 150
PIVOT = np.array([2300.0, 6200.0, 16500.0])


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    monkeypatch.setattr(model_store, "BLOCK", 64)
    monkeypatch.setattr(model_store, "_CHUNK", 16)


@pytest.fixture(scope="module")
def models():
    made = fake_models(PIVOT, n_model=N_MODELS, rng=np.random.default_rng(1))
    return made.assign_attrs(seed=1, priors={"dust2": {"kind": "uniform", "low": 0.0}})


def grid_of(models):
    """The models at three redshifts, the nearest the brightest."""
    redshift = np.array([0.1, 0.2, 0.4])
    flux = (models["flux"].values / redshift[:, None, None] ** 2).astype(np.float32)
    grid = models.drop_vars("flux").assign(
        flux=(("redshift", "model", "band"), flux, MODEL_GRID.attrs("flux"))
    )
    return grid.assign_coords(
        redshift=("redshift", redshift, MODEL_GRID.attrs("redshift"))
    ).assign_attrs(schema=MODEL_GRID.tag)


def stored(models, path, order=None):
    n_models = models.sizes["model"]
    part = create_store(models.isel(model=slice(0)), path, n_models=n_models)
    for start, stop in order or blocks(n_models):
        write_block(models.isel(model=slice(start, stop)), part, start=start)
    publish_store(part, path)
    return path


def files(path):
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in sorted(path.rglob("*"))
        if file.is_file()
    }


def test_blocks_by_hand():
    assert blocks(150) == [(0, 64), (64, 128), (128, 150)]
    assert blocks(64) == [(0, 64)]


@pytest.mark.parametrize("form", ["set", "grid"])
def test_round_trip(models, tmp_path, form):
    given = grid_of(models) if form == "grid" else models
    back = read_models(stored(given, tmp_path / "m.zarr"))
    schema = MODEL_GRID if form == "grid" else MODELS
    assert digest(schema.validate(back)) == digest(given)
    assert [path.name for path in tmp_path.iterdir()] == ["m.zarr"]


def test_order_of_writing_does_not_show(models, tmp_path):
    one = stored(models, tmp_path / "one.zarr")
    other = stored(models, tmp_path / "other.zarr", order=list(reversed(blocks(N_MODELS))))
    assert files(one) == files(other)


def test_a_file_has_one_writer(models, tmp_path):
    # the rule that keeps zarr from losing data: a block's files are touched by no other block
    grid = grid_of(models)
    part = create_store(grid.isel(model=slice(0)), tmp_path / "m.zarr", n_models=N_MODELS)
    seen = files(part)
    for start, stop in blocks(N_MODELS):
        write_block(grid.isel(model=slice(start, stop)), part, start=start)
        now = files(part)
        assert {name: now[name] for name in seen} == seen
        # three redshifts of flux, and eight quantities
        assert len(now) - len(seen) == 3 + 8
        seen = now


def test_parts_are_read_alone(models, tmp_path):
    path = stored(grid_of(models), tmp_path / "m.zarr")
    part = read_models(path, start=60, stop=70, redshifts=slice(1, 3))
    assert part["flux"].shape == (2, 10, 3)
    np.testing.assert_array_equal(part["av"].values, models["av"].values[60:70])
    with opened_models(path) as lazy:
        assert lazy.sizes["model"] == N_MODELS
        assert list(lazy["redshift"].values) == [0.1, 0.2, 0.4]


def test_nothing_is_overwritten(models, tmp_path):
    path = stored(models, tmp_path / "m.zarr")
    with pytest.raises(ConfigError, match=r"m\.zarr exists; models are never overwritten"):
        create_store(models.isel(model=slice(0)), path, n_models=1)
    other = tmp_path / "other.zarr"
    part = create_store(models.isel(model=slice(0)), other, n_models=10)
    write_block(models.isel(model=slice(10)), part, start=0)
    other.mkdir()
    with pytest.raises(ConfigError, match="never overwritten"):
        publish_store(part, other)
    discard_store(part)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["m.zarr", "other.zarr"]


def test_a_set_with_a_block_missing_is_not_published(models, tmp_path):
    part = create_store(models.isel(model=slice(0)), tmp_path / "m.zarr", n_models=N_MODELS)
    write_block(models.isel(model=slice(64, 128)), part, start=64)
    with pytest.raises(StoreError, match=r"lacks blocks: av has 1 of 3, .*flux has 1 of 3"):
        publish_store(part, tmp_path / "m.zarr")
    assert not is_complete(tmp_path / "m.zarr")
    assert not is_complete(part)


@pytest.mark.parametrize(("start", "stop"), [(0, 63), (1, 65), (64, 150), (128, 149)])
def test_what_is_not_a_block_is_refused(models, tmp_path, start, stop):
    part = create_store(models.isel(model=slice(0)), tmp_path / "m.zarr", n_models=N_MODELS)
    with pytest.raises(ConfigError, match=rf"\[{start}, {stop}\) of 150 are not a block"):
        write_block(models.isel(model=slice(start, stop)), part, start=start)


def test_a_lost_file_and_a_flipped_byte_are_noticed(models, tmp_path):
    path = stored(models, tmp_path / "m.zarr")
    assert is_complete(path)
    file = path / "dust2" / "c" / "1"
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 0xFF
    file.write_bytes(content)
    with pytest.raises(DamagedError, match=r"m\.zarr is damaged"):
        read_models(path)
    file.unlink()
    assert not is_complete(path)
    with pytest.raises(DamagedError, match="lacks blocks: dust2 has 2 of 3"), opened_models(path):
        pass


def test_what_is_no_set_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="is not a set of models"):
        read_models(tmp_path)
    assert not is_complete(tmp_path / "absent")


def test_a_set_of_another_form_is_refused(models, tmp_path):
    broken = models.isel(model=slice(0)).assign(av=("model", np.empty(0, np.int64)))
    with pytest.raises(SchemaError, match="av: dtype int64"):
        create_store(broken, tmp_path / "m.zarr", n_models=1)


def test_a_folder_that_cannot_be_made(models, tmp_path):
    (tmp_path / "file").write_text("a file where a folder should be")
    with pytest.raises(StoreError, match="cannot write"):
        create_store(models.isel(model=slice(0)), tmp_path / "file" / "m.zarr", n_models=1)


def test_no_other_data_are_needed(models, tmp_path):
    # plain zarr: any program can read it
    path = stored(models, tmp_path / "m.zarr")
    with xr.open_zarr(path, consolidated=False, chunks=None) as ds:
        np.testing.assert_array_equal(ds["flux"].values, models["flux"].values)
        assert ds["flux"].encoding["shards"] == (64, 3)
