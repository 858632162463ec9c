"""Models split over ranks: the bytes of a fit on one process."""

import pickle
import textwrap
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxdask.cluster.mpi import World
from pxdask.cluster.rdsps import fit_spmd, library_of_rank, share_of
from pxdask.core.config import FitConfig
from pxdask.core.errors import ConfigError
from pxdask.core.flags import Flag
from pxdask.core.models import ModelConfig
from pxdask.fitting import RdspsFitter, Seds
from pxdask.io.filters import load_filters
from pxdask.sps import synthetic_ssp
from pxdask.sps.libraries import make_library
from pxdask.testing import digest
from tests.mpi import mpirun

FILTERS = ("galex_nuv", "sdss_g", "sdss_r", "2mass_j", "wise_w1")
PLAIN = FitConfig(systematic_error=0.0)
N_SED = 23  # no multiple of the ranks, and more than one group of a search
CASES = {
    "gaussian": {},
    "student_t": {"likelihood": "student_t"},
    "samples": {"n_samples": 20, "systematic_error": 0.1},
    # so little that every rank finishes one SED at a time
    "little_memory": {"max_memory": 1e-5},
}


def library(n_model=3001, **models):
    settings = ModelConfig(ssp="synthetic", n_models=n_model, **models)
    return make_library(
        synthetic_ssp(), load_filters(FILTERS), settings=settings, redshift=0.1, seed=3
    )


def seds(n_sed=N_SED, *, limits=False):
    """Models with noise of S/N 3 to 100, and SEDs with bands or all bands amiss."""
    rng = np.random.default_rng(8)
    models = library(n_sed).draw()["flux"].values.astype(float)
    flux = 10 ** rng.uniform(7, 11, (n_sed, 1)) * models
    flux_err = flux / 10 ** rng.uniform(0.5, 2, flux.shape)
    flux += flux_err * rng.standard_normal(flux.shape)
    flux[1, 2], flux_err[2, :3], flux[3] = np.nan, 0.0, np.nan
    flux[4] = -np.abs(flux[4])  # no model is brighter than nothing
    flux[5] *= 1e20
    upper = np.zeros(flux.shape, bool)
    upper[6:9, 0] = limits
    keys = tuple(("galaxy", i) for i in range(n_sed))
    return Seds(flux, flux_err, keys, upper_limit=upper if limits else None)


def faint_seds():
    """SEDs of S/N 2, for which most of the models count."""
    rng = np.random.default_rng(4)
    models = 1e9 * library(5).draw()["flux"].values.astype(float)
    flux = models * (1 + 0.5 * rng.standard_normal(models.shape))
    return Seds(flux, 0.5 * models, tuple(("faint", i) for i in range(5)))


PROGRAM = """
    import pickle, sys
    from pathlib import Path
    from pxdask.cluster.mpi import mpi_world
    from pxdask.cluster.rdsps import fit_spmd, library_of_rank
    from pxdask.core.config import FitConfig
    from tests.cluster.test_rdsps import CASES, PLAIN, faint_seds, library, seds

    world = mpi_world()
    given = library_of_rank(library(), world)
    fits = {
        name: fit_spmd(seds(), world=world, settings=FitConfig(**case), library=given)
        for name, case in CASES.items()
    }
    fits["limits"] = fit_spmd(
        seds(limits=True), world=world, settings=FitConfig(), library=given
    )
    fits["none"] = fit_spmd(seds().rows(0, 0), world=world, settings=FitConfig(), library=given)
    fits["faint"] = fit_spmd(
        faint_seds(), world=world, settings=PLAIN, library=library_of_rank(library(20000), world)
    )
    if world.rank == 0:
        Path(sys.argv[1]).write_bytes(pickle.dumps(fits))
    elif set(fits.values()) != {None}:
        raise SystemExit("a rank other than the first has a result")
"""


@pytest.fixture(scope="module", params=[1, 2, 4])
def fits(request, tmp_path_factory):
    """What a program of some ranks finds."""
    path = tmp_path_factory.mktemp("ranks") / "fits.pickle"
    ended = mpirun(request.param, "-c", textwrap.dedent(PROGRAM), path)
    assert ended.returncode == 0, ended.stderr
    return pickle.loads(path.read_bytes())  # noqa: S301  the program's own file


@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.parametrize("case", CASES)
def test_ranks_find_the_same_bytes_as_one_process(fits, case):
    alone = RdspsFitter(FitConfig(**CASES[case]), whole=False).prepare(library()).fit(seds())
    assert digest(fits[case]) == digest(alone)
    assert fits[case].attrs["n_models"] == 3001


@pytest.mark.slow
@pytest.mark.cluster
def test_upper_limits_are_fitted_within_rounding(fits):
    # the amplitudes under limits are those of an iteration that ends when all models at hand
    # have converged; which those are depends on the ranks
    alone = RdspsFitter(FitConfig(), whole=False).prepare(library()).fit(seds(limits=True))
    for name in alone.data_vars:
        np.testing.assert_allclose(fits["limits"][name], alone[name], rtol=1e-9, atol=1e-12)


@pytest.mark.slow
@pytest.mark.cluster
def test_broad_posteriors_are_those_of_classes_within_their_error(fits):
    alone = RdspsFitter(PLAIN).prepare(library(20000)).fit(faint_seds())
    # one process sums them by class, which is right to 1e-4
    assert np.all(alone["n_eff"].values != fits["faint"]["n_eff"].values)
    np.testing.assert_allclose(fits["faint"]["n_eff"], alone["n_eff"], rtol=1e-4)
    np.testing.assert_allclose(fits["faint"]["ln_evidence"], alone["ln_evidence"], atol=1e-4)
    for name in (name for name in alone if f"{name}_std" in alone):
        off = fits["faint"][f"{name}_mean"] - alone[f"{name}_mean"]
        assert np.all(np.abs(off) < 1e-3 * alone[f"{name}_std"])


@pytest.mark.slow
@pytest.mark.cluster
def test_what_cannot_be_fitted_is_flagged_on_ranks_too(fits):
    fit = fits["gaussian"]
    assert fit["flags"].values[3] == fit["flags"].values[4] == Flag.NOT_FITTED
    assert fit["flags"].values[5] & Flag.ODD_FLUX
    assert np.isnan(fit["log_mass"].values[3:5]).all()
    assert np.isfinite(np.delete(fit["log_mass"].values, [3, 4], axis=0)).all()
    assert fits["none"].sizes["bin"] == 0


@pytest.mark.slow
@pytest.mark.cluster
def test_a_rank_whose_models_are_bad_ends_all(tmp_path):
    program = PROGRAM.replace(
        "given = library_of_rank(library(), world)",
        """from dataclasses import replace
    given = library_of_rank(library(), world)
    if world.rank == 1:
        given = replace(given, draw=lambda: library().draw().isel(model=slice(0)))""",
    )
    ended = mpirun(2, "-c", textwrap.dedent(program), tmp_path / "f", timeout=120)
    assert ended.returncode != 0
    assert "rank 1 of 2: no models to fit with" in ended.stderr


@given(st.integers(0, 1000), st.integers(1, 50))
def test_shares_are_all_of_it_and_even(n, size):
    shares = [share_of(n, rank=rank, size=size) for rank in range(size)]
    assert shares[0][0] == 0
    assert shares[-1][1] == n
    assert all(a[1] == b[0] for a, b in pairwise(shares))
    lengths = [stop - start for start, stop in shares]
    assert max(lengths) - min(lengths) <= 1


def test_parts_of_a_library_are_the_library():
    whole = library(7).draw()
    parts = [library_of_rank(library(7), World(rank, 3, None)).draw() for rank in range(3)]
    for name in whole.data_vars:
        joined = np.concatenate([part[name].values for part in parts])
        np.testing.assert_array_equal(joined, whole[name].values)


def test_what_ranks_cannot_do_is_refused():
    world = World(0, 8, None)
    with pytest.raises(ConfigError, match="7 models for 8 ranks"):
        library_of_rank(library(7), world)
    settings = FitConfig(refine={"min_n_eff": 50})
    with pytest.raises(ConfigError, match=r"fit.refine.min_n_eff is 50.*set it to 0"):
        fit_spmd(seds(), world=world, settings=settings, library=library(7))
