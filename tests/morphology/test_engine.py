import numpy as np
import pytest
from scipy import stats

from pxdask.core.morphology import MorphologyConfig
from pxdask.morphology.unpacking import unpack
from tests.morphology.small import TRUTH, scene_of, stamps_of

pytest.importorskip("jax")


@pytest.fixture(scope="module")
def stamps():
    return stamps_of({"g": TRUTH}, side=24)


@pytest.fixture(scope="module")
def engine():
    """Return density, image and normal equations as functions of theta and a scene."""
    from pxdask.morphology.compiled import double_precision, load_jax

    jax = load_jax()
    from pxdask.morphology import engine

    def run(name, scene, theta):
        with double_precision():
            program = jax.jit(getattr(engine, name), static_argnums=2)
            return jax.device_get(program(theta, scene.arrays, scene.layout))

    return run


def prior_cost(scene, theta):
    away = (theta - scene.arrays["prior_mean"]) / scene.arrays["prior_std"]
    return 0.5 * np.sum(away**2)


@pytest.mark.parametrize("loss", ["gaussian", "student_t"])
def test_the_density_is_that_of_scipy(stamps, engine, loss):
    """Student's t with unit variance, but for its value at zero; masked pixels are not there."""
    masked = {"g": stamps["g"].copy(deep=True)}
    masked["g"]["masked"][2:5, 3] = True
    scene = scene_of(masked, config=MorphologyConfig(loss=loss))
    theta = scene.start + 0.05
    image = engine("model_images", scene, theta)[0][0, :24, :24]
    good = ~masked["g"]["masked"].values
    residual = ((masked["g"]["flux"].values - image) / masked["g"]["flux_err"].values)[good]
    law = stats.norm() if loss == "gaussian" else stats.t(5, scale=np.sqrt(3 / 5))
    wanted = np.sum(law.logpdf(residual) - law.logpdf(0.0)) - prior_cost(scene, theta)
    # errors are single precision in the stamp
    assert engine("log_density", scene, theta) == pytest.approx(wanted, rel=1e-5)


def test_students_t_has_unit_variance():
    law = stats.t(5, scale=np.sqrt(3 / 5))
    assert law.var() == pytest.approx(1.0)


@pytest.mark.slow
@pytest.mark.parametrize("priors", [{}, {"ellip": {"mean": 0, "std": 0.1}}])
def test_normal_equations_are_the_density_s_derivatives(stamps, engine, priors):
    from pxdask.morphology.compiled import double_precision, load_jax

    jax = load_jax()
    from pxdask.morphology.engine import log_density

    config = MorphologyConfig.model_validate({"sky": "tilted", "priors": priors})
    scene = scene_of(stamps, config=config)
    theta = scene.start + 0.1
    found = engine("normal_equations", scene, theta)
    assert found.cost == pytest.approx(-engine("log_density", scene, theta))
    with double_precision():
        slope = jax.jit(jax.grad(log_density), static_argnums=2)(theta, scene.arrays, scene.layout)
    scale = np.abs(found.gradient).max()
    np.testing.assert_allclose(found.gradient, -np.asarray(slope), atol=1e-8 * scale)
    # the majorant lies above the curvature in every direction
    assert np.linalg.eigvalsh(found.majorant - found.curvature).min() > -1e-8 * scale


def test_the_sky_rises_across_the_stamp(stamps, engine):
    scene = scene_of(stamps, config=MorphologyConfig(sky="tilted"))
    tilted = scene.start.copy()
    tilted[scene.columns[-1, "sky_x"]] += 2.0
    images = [engine("model_images", scene, each)[0][0] for each in (scene.start, tilted)]
    before, after = (unpack(each, scene)["sky_x"][0, 0] for each in (scene.start, tilted))
    change = (images[1] - images[0])[:24, :24]
    # sky_x is the rise over half of the side, 12 pixels
    np.testing.assert_allclose(np.diff(change, axis=1), (after - before) / 12, rtol=1e-5)
    np.testing.assert_allclose(np.diff(change, axis=0), 0, atol=1e-9 * (after - before))
