import subprocess
import sys
from functools import partial

import numpy as np
import pytest

from pxdask.core.errors import ConfigError
from pxdask.core.fits import NpeConfig
from pxdask.npe import training
from pxdask.npe.density import Shape, make_density
from pxdask.npe.network import Network
from pxdask.npe.noise import broad_noise
from pxdask.npe.passes import Passes
from pxdask.npe.training import FEWEST_MOCKS, train
from tests.npe.small import BANDS, fit_settings, library

pytest.importorskip("jax")

DESIGN = np.array([[1.0, 0.5], [0.0, 1.0], [-1.0, 1.0]])
NOISE = 0.5


def linear(n, seed):
    """Return data of a linear model of two parameters with a Gaussian prior, and those."""
    rng = np.random.default_rng(seed)
    truth = rng.standard_normal((n, 2))
    return (truth @ DESIGN.T + NOISE * rng.standard_normal((n, 3))).astype(np.float32), truth


@pytest.fixture(scope="module")
def optimisation():
    return pytest.importorskip("pxdask.npe.optimisation")


def optimised(optimisation, data, truth, *, form="mixture", max_epochs=1, **settings):
    shape, seen = Shape(3, 2, 32, 2, 4, 16), []
    config = NpeConfig(**{"batch_size": 256, "learning_rate": 3e-3, **settings})
    pair = data, truth.astype(np.float32)
    n = len(data) - len(data) // 10
    learnt, held = (tuple(each[rows] for each in pair) for rows in (slice(n), slice(n, None)))
    with Passes(lambda _: learnt, n_slices=1, n_passes=max_epochs) as passes:
        found = optimisation.optimise(
            passes,
            held,
            n_rows=n,
            form=form,
            shape=shape,
            settings=config,
            rng=np.random.default_rng(5),
            report=lambda *told: seen.append(told),
        )
    return make_density(form, shape, found.weights), found, seen


@pytest.mark.slow
@pytest.mark.parametrize("form", ["mixture", "autoregressive"])
def test_a_linear_problem_has_its_analytic_posterior(optimisation, form):
    own, found, _ = optimised(optimisation, *linear(40_000, 1), form=form, max_epochs=10)
    covariance = np.linalg.inv(np.eye(2) + DESIGN.T @ DESIGN / NOISE**2)
    data, _ = linear(50, 2)
    mean = data @ DESIGN @ covariance / NOISE**2
    y, _ = own.draw(data, [np.random.default_rng(k) for k in range(50)], n_draws=4000)
    width = np.sqrt(np.diag(covariance))
    # 4,000 draws tell a mean to 0.016 and a covariance to 0.022 deviations; the rest is the
    # network's own error after a short training
    off = (y.mean(axis=1) - mean) / width
    assert np.sqrt(np.mean(off**2)) < 0.06
    scaled = np.mean([np.cov(each.T) for each in y], axis=0) / np.outer(width, width)
    np.testing.assert_allclose(scaled, covariance / np.outer(width, width), atol=0.05)
    # the least loss there can be is the posterior's entropy, here to its scatter between mocks
    entropy = 0.5 * np.log(np.linalg.det(2 * np.pi * np.e * covariance))
    assert min(found.held_loss) == pytest.approx(entropy, abs=0.05)


@pytest.mark.slow
def test_a_training_without_gains_ends(optimisation):
    _, found, seen = optimised(
        optimisation, *linear(600, 3), learning_rate=1e-12, patience=3, max_epochs=50
    )
    # the losses are equal to rounding: the least may be some epochs later than the first
    best = int(np.argmin(found.held_loss))
    assert len(found.loss) == len(seen) == best + 4 < 50


@pytest.mark.slow
def test_mocks_that_are_seen_once_are_never_fruitless(optimisation):
    data, truth = linear(600, 3)
    pair = data, truth.astype(np.float32)
    with Passes(lambda _: pair, n_slices=9, n_passes=9) as passes:
        found = optimisation.optimise(
            passes,
            pair,
            n_rows=600,
            form="mixture",
            shape=Shape(3, 2, 32, 2, 4, 16),
            settings=NpeConfig(learning_rate=1e-12, patience=1, batch_size=256),
            rng=np.random.default_rng(5),
            report=lambda *_: None,
        )
    assert len(found.loss) == 9


@pytest.mark.slow
def test_a_network_of_a_small_library():
    told = []
    settings = fit_settings(
        n_mocks=60_000, pass_size=15_000, max_epochs=2, learning_rate=3e-3, n_members=2
    )
    own = train(
        library(), noise=broad_noise(BANDS), settings=settings, seed=1, progress=told.append
    )
    assert [(p.member, p.done) for p in told] == [(m, e) for m in (0, 1) for e in range(1, 9)]
    assert {p.n_passes for p in told} == {8}
    assert own.held_loss.shape == (2, 8)
    assert (own.held_loss[:, -1] < own.held_loss[:, 0] - 0.3).all()
    assert own.redshift == (0.1, 0.2)
    assert own.names == ("log_age", "logzsol", "dust2")
    # 2,000 mocks tell a coverage of 0.68 to 0.010
    assert np.abs(own.figures["coverage_68"] - 0.68).max() < 0.05
    assert own.figures["rank_distance"].max() < 0.06
    own.check(library(redshift=0.12), settings)
    again = Network.from_dataset(own.to_dataset())
    assert again.origin["n_mocks"] == 60_000


@pytest.mark.slow
def test_figures_are_of_independent_mocks_that_were_not_held_out(monkeypatch):
    asked, made = [], training.make_mocks

    def make(*args, **kwargs):
        found = made(*args, **kwargs)
        asked.append((kwargs.get("points", "sobol"), found.log_mass))
        return found

    monkeypatch.setattr(training, "make_mocks", make)
    settings = fit_settings(n_mocks=2000, max_epochs=1)
    own = train(library(), noise=broad_noise(BANDS), settings=settings, seed=1)
    (held, *_, (points, log_mass)) = asked
    assert points == "random"
    assert {each for each, _ in asked[:-1]} == {"sobol"}
    assert not np.isin(log_mass, held[1]).any()
    assert np.isfinite(own.figures["coverage_68"]).all()


class KilledError(Exception):
    """Stands for the end of a process."""


def killed(told, *, after):
    if (told.member, told.done) == after:
        raise KilledError


@pytest.mark.slow
def test_a_killed_training_goes_on(tmp_path):
    # two slices, twice: the state is that of a pass, whose mocks are made again
    settings = fit_settings(n_mocks=4000, pass_size=2000, max_epochs=2, n_members=2)
    run = partial(train, library(), noise=broad_noise(BANDS), settings=settings)
    whole, path = run(seed=1), tmp_path / "state"
    for after in ((0, 2), (1, 1)):
        with pytest.raises(KilledError):
            run(seed=1, checkpoint=path, progress=partial(killed, after=after))
    done = []
    found = run(seed=1, checkpoint=path, progress=lambda told: done.append(told.done))
    assert done == [2, 3, 4]
    np.testing.assert_array_equal(found.to_dataset()["weights"], whole.to_dataset()["weights"])
    np.testing.assert_array_equal(found.held_loss, whole.held_loss)
    other = run(seed=2, checkpoint=path, progress=lambda told: done.append(told.done))
    assert done[3:7] == [1, 2, 3, 4]
    assert (other.held_loss != whole.held_loss).all()


def test_without_jax_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pxdask.npe.optimisation", None)
    with pytest.raises(ConfigError, match=r"pip install 'pxdask\[npe\]'"):
        train(library(), noise=broad_noise(BANDS), settings=fit_settings(), seed=1)


def test_too_few_mocks_are_refused():
    settings = fit_settings(n_mocks=FEWEST_MOCKS - 1)
    with pytest.raises(ConfigError, match="99 mocks; wanted 100"):
        train(library(), noise=broad_noise(BANDS), settings=settings, seed=1)


def test_neither_a_network_nor_the_training_module_imports_jax():
    code = "import sys, pxdask.npe.training; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.gpu
def test_a_gpu_learns_as_a_cpu_does():
    """JAX takes a GPU of its own accord; sums are in another order there, and losses the same."""
    jax = pytest.importorskip("jax")
    if jax.default_backend() != "gpu":
        pytest.skip(f"JAX has no GPU here but {jax.default_backend()}")
    seen = set()

    def report(_):
        seen.update(each.platform for array in jax.live_arrays() for each in array.devices())

    run = partial(train, library(), noise=broad_noise(BANDS), settings=fit_settings(), seed=1)
    own = run(progress=report)
    assert "gpu" in seen
    with jax.default_device(jax.devices("cpu")[0]):
        want = run()
    # by some hundred steps rounding in single precision has grown to less than noise of mocks
    np.testing.assert_allclose(own.held_loss, want.held_loss, atol=0.05)
