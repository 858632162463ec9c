"""Model sets built on disk: by one process, Dask or MPI, the same bytes."""

import textwrap

import numpy as np
import pytest

import pxdask
from pxdask.core.errors import ConfigError
from pxdask.core.models import ModelConfig
from pxdask.io.filters import load_filters
from pxdask.io.model_store import BLOCK, read_models
from pxdask.sps import make_model_set, synthetic_ssp
from pxdask.sps.model_grid import make_model_grid
from pxdask.survey.generate import build_models
from tests.mpi import mpirun

FILTERS = ("sdss_g", "2mass_j", "wise_w1")
N_MODELS = 3 * BLOCK + 500
SEED = 7


def settings(**changes):
    return ModelConfig(**{"ssp": "synthetic", "n_models": 300, **changes})


def build(out, chosen, *, redshifts=(0.1,), **how):
    return build_models(chosen, FILTERS, out, redshifts=redshifts, seed=SEED, **how)


def files(path):
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in sorted(path.rglob("*"))
        if file.is_file()
    }


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The files of a set of four blocks, built by one process."""
    out = tmp_path_factory.mktemp("alone") / "models.zarr"
    return files(build(out, settings(n_models=N_MODELS)))


def test_what_is_built_is_the_set(tmp_path):
    out = build(tmp_path / "m.zarr", settings())
    built = read_models(out)
    made = make_model_set(
        synthetic_ssp(), load_filters(FILTERS), redshift=0.1, settings=settings(), seed=SEED
    )
    for name in (*made.data_vars, "pivot_wave"):
        np.testing.assert_array_equal(built[name].values, made[name].values)
        assert built[name].attrs == made[name].attrs
    assert {name: built.attrs[name] for name in made.attrs} == made.attrs
    assert set(built.attrs) - set(made.attrs) == {"filters", "versions"}
    assert [path.name for path in tmp_path.iterdir()] == ["m.zarr"]


def test_what_is_built_is_the_grid(tmp_path):
    redshifts = (0.1, 0.11, 0.12)
    built = read_models(build(tmp_path / "m.zarr", settings(), redshifts=redshifts))
    made = make_model_grid(
        synthetic_ssp(), load_filters(FILTERS), redshifts=redshifts, settings=settings(), seed=SEED
    )
    np.testing.assert_array_equal(built["flux"].values, made["flux"].values)
    np.testing.assert_array_equal(built["redshift"].values, redshifts)


def test_redshift_may_be_free(tmp_path):
    chosen = settings(priors={"redshift": {"low": 0.1, "high": 0.12}}, n_models=64)
    built = read_models(build(tmp_path / "m.zarr", chosen, redshifts=()))
    assert built.attrs["redshift"] == "free"
    assert np.all((built["redshift"].values >= 0.1) & (built["redshift"].values <= 0.12))


def test_blocks_do_not_show(alone, tmp_path):
    made = make_model_set(
        synthetic_ssp(),
        load_filters(FILTERS),
        redshift=0.1,
        settings=settings(n_models=N_MODELS),
        seed=SEED,
        start=BLOCK - 50,
        stop=BLOCK + 50,
    )
    path = tmp_path / "models.zarr"
    for name, content in alone.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    read = read_models(path, start=BLOCK - 50, stop=BLOCK + 50)
    for name in made.data_vars:
        np.testing.assert_array_equal(read[name].values, made[name].values)


def test_progress_is_told(tmp_path):
    told = []
    chosen = settings(n_models=BLOCK + 1)
    build(tmp_path / "m.zarr", chosen, report=lambda done, total: told.append((done, total)))
    assert told == [(1, 2), (2, 2)]


@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.parametrize("workers", [1, 2])
def test_dask_writes_the_same_bytes(alone, tmp_path, workers):
    with pxdask.connect("local", workers=workers) as client:
        out = build(tmp_path / "m.zarr", settings(n_models=N_MODELS), client=client)
    assert files(out) == alone


@pytest.mark.slow
@pytest.mark.cluster
def test_a_fault_on_a_worker_is_told(tmp_path):
    from unittest.mock import patch

    chosen = settings(n_models=100)
    wrong = patch("pxdask.survey.generate.build_block", return_fault)
    with (
        pxdask.connect("local", workers=1) as client,
        wrong,
        pytest.raises(ConfigError, match="worker says no"),
    ):
        build(tmp_path / "m.zarr", chosen, client=client)
    assert not list(tmp_path.iterdir())


def return_fault(*_):
    return ConfigError("worker says no")


PROGRAM = """
    import sys
    from pathlib import Path
    from pxdask.cluster.mpi import mpi_world
    from pxdask.core.errors import StoreError
    from pxdask.survey import generate
    from tests.survey.test_generate import FILTERS, N_MODELS, build, settings

    world = mpi_world()
    if len(sys.argv) > 2 and world.rank == int(sys.argv[2]):
        generate.build_block = lambda *_: StoreError("the disk is full")
    build(Path(sys.argv[1]), settings(n_models=N_MODELS), world=world)
"""


@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.parametrize("n_rank", [1, 2, 4])
def test_ranks_write_the_same_bytes(alone, tmp_path, n_rank):
    out = tmp_path / "m.zarr"
    ended = mpirun(n_rank, "-c", textwrap.dedent(PROGRAM), out)
    assert ended.returncode == 0, ended.stderr
    assert files(out) == alone
    assert [path.name for path in tmp_path.iterdir()] == ["m.zarr"]


@pytest.mark.slow
@pytest.mark.cluster
def test_a_rank_that_fails_ends_all(tmp_path):
    ended = mpirun(2, "-c", textwrap.dedent(PROGRAM), tmp_path / "m.zarr", 1, timeout=120)
    assert ended.returncode != 0
    assert "rank 1 of 2: the disk is full" in ended.stderr
    assert not (tmp_path / "m.zarr").exists()


@pytest.mark.slow
@pytest.mark.cluster
def test_ranks_overwrite_nothing(tmp_path):
    (tmp_path / "m.zarr").mkdir()
    ended = mpirun(2, "-c", textwrap.dedent(PROGRAM), tmp_path / "m.zarr", timeout=120)
    assert ended.returncode != 0
    assert "rank 0 of 2" in ended.stderr
    assert "never overwritten" in ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["m.zarr"]


def test_faults_leave_nothing_behind(tmp_path):
    with pytest.raises(ConfigError, match="nowhere_x"):
        build_models(settings(), ["nowhere_x"], tmp_path / "m", redshifts=(0.1,), seed=1)
    with pytest.raises(ConfigError, match="'dust9' is not a parameter"):
        build(tmp_path / "m", settings(priors={"dust9": {"low": 0}}))
    with pytest.raises(ConfigError, match="need a redshift"):
        build(tmp_path / "m", settings(), redshifts=())
    with pytest.raises(ConfigError, match="positive and increasing"):
        build(tmp_path / "m", settings(), redshifts=(0.2, 0.1))
    assert not list(tmp_path.iterdir())
