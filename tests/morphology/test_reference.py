import sys

import numpy as np
import pytest
from scipy.special import gammainc, gammaincinv

from pxdask.core.errors import ConfigError
from pxdask.core.flags import Flag
from pxdask.core.morphology import MorphologyConfig
from pxdask.morphology.fit import fit_scenes
from pxdask.morphology.scene import psf_transform
from tests.morphology import test_decals
from tests.morphology.mock_stamps import gaussian_psf, mock_scene, sersic

pytest.importorskip("jax")
pytest.importorskip("pysersic")
reference = pytest.importorskip("pxdask.morphology.reference")

stamps = test_decals.stamps  # its fixture

CONFIG = MorphologyConfig(order=1)
MIXED = ({"side": 31}, {"side": 31, "scale": 0.3, "turn": 40.0, "fwhm": 2.5})


def both(scene, config=CONFIG):
    """Best fits of a scene by both engines."""
    rngs = [np.random.default_rng(1)]
    return [
        fit_scenes([scene], config=config.model_copy(update={"engine": engine}), rngs=rngs)[0]
        for engine in ("jax", "pysersic")
    ]


def assert_agree(scene, own, other, *, sigma=0.3):
    width = np.sqrt(np.diag(own.covariance))
    np.testing.assert_allclose((other.theta - own.theta) / width, 0.0, atol=sigma)
    # the one curvature is Gauss-Newton's, the other the whole: they differ by noise
    ratio = np.sqrt(np.diag(other.covariance)) / width
    np.testing.assert_allclose(ratio, 1.0, atol=0.1)
    np.testing.assert_allclose(other.chi2, own.chi2, rtol=2e-3)
    for mine, theirs, at in zip(own.images, other.images, scene.fitted, strict=True):
        assert np.max(np.abs(mine - theirs) / scene.stamps[at].flux_err) < 0.3


@pytest.mark.slow
@pytest.mark.parametrize("bands", [({"side": 31}, {"side": 31, "r_eff": 0.9}), MIXED])
def test_engines_agree_on_mocks(bands):
    # also where pixels differ in size and direction, which plain pysersic cannot have
    scene = mock_scene(CONFIG, bands=bands, r_eff=0.8, noise=0.05)
    own, other = both(scene)
    assert_agree(scene, own, other)
    assert other.flags[0] == 0
    values, width = other.values, 0.05
    np.testing.assert_allclose(values["r_eff"][0, 0], 0.8, rtol=width)
    np.testing.assert_allclose(values["theta"], 30.0, atol=2.0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("profile", "sky", "loss"),
    [("sersic_point", "tilted", "gaussian"), ("point", "none", "gaussian")],
)
def test_engines_agree_on_other_profiles(profile, sky, loss):
    config = CONFIG.model_copy(update={"profile": profile, "sky": sky, "loss": loss})
    scene = mock_scene(
        config, bands=({"side": 31},), noise=0.05, r_eff=0.8 * (profile != "point") + 0.02
    )
    own, other = both(scene, config)
    assert_agree(scene, own, other)


@pytest.mark.slow
@pytest.mark.data
def test_engines_agree_on_a_real_galaxy(stamps):
    # indices from 0.68, where pysersic's own 15 Gaussians would make r_eff in g 9 % smaller
    config = MorphologyConfig()
    own, width = test_decals.fit(stamps, config)
    other, _ = test_decals.fit(stamps, config.model_copy(update={"engine": "pysersic"}))
    for name in ("r_eff", "n", "ellip", "theta", "flux"):
        away = np.abs(other[name] - own[name]) / width[name]
        assert np.all(away < 0.3), name


@pytest.mark.parametrize("index", [0.65, 0.7, 0.8, 1.0, 4.0, 8.0])
def test_pysersic_s_gaussians_are_sersic_profiles(index):
    from pxdask.morphology.compiled import double_precision

    scene = mock_scene(CONFIG, bands=({"side": 31},), r_eff=0.8)
    ratio = np.interp(index, reference._INDICES, reference._RADII)
    with double_precision():
        ((renderer,),) = reference.scene_renderers(scene)
        parts = renderer.get_amps_sigmas(1.0, 1 / ratio, index)
        amplitudes, sigma = (np.asarray(each) for each in parts)
    radius = np.array([0.25, 0.5, 1.0, 2.0, 3.0, 5.0])
    drawn = (1 - np.exp(-0.5 * (radius / sigma[:, None]) ** 2)).T @ amplitudes
    shape = 2 * index
    exact = gammainc(shape, gammaincinv(shape, 0.5) * radius ** (1 / index))
    # what they hold within a radius; of n = 8, 1.5 % lie beyond 60 r_eff
    np.testing.assert_allclose(drawn, exact, atol=2e-3 if index < 5 else 8e-3)


@pytest.mark.slow
def test_densities_agree_but_for_a_constant():
    from pxdask.morphology.compiled import double_precision
    from pxdask.morphology.engine import log_density

    scene = mock_scene(CONFIG, bands=({"side": 31},), r_eff=0.8)
    density = reference.reference_density(scene)
    rng = np.random.default_rng(0)
    differences = []
    with double_precision():
        for _ in range(3):
            theta = scene.start + 0.02 * rng.standard_normal(scene.start.size)
            pair = (each(theta, scene.arrays, scene.layout) for each in (density, log_density))
            first, second = (float(each) for each in pair)
            differences.append(first - second)
    # ln of densities of thousands: renderers differ by thousandths of the noise per pixel
    assert np.ptp(differences) < 0.5


@pytest.mark.slow
def test_an_index_beyond_the_renderer_is_flagged():
    scene = mock_scene(CONFIG, bands=({"side": 31, "index": 0.5},), r_eff=1.0, noise=0.02)
    own, other = both(scene)
    assert own.flags[0] == 0
    assert own.values["n"][0, 0] == pytest.approx(0.5, abs=0.05)
    assert other.flags[0] & int(Flag.AT_EDGE)


@pytest.mark.parametrize("side", [15, 21])
def test_the_psf_comes_back_of_its_transform(side):
    psf = gaussian_psf(side, fwhm=4.0)
    found = reference.psf_square(psf_transform(psf, n_fft=48), n_fft=48)
    assert found.shape[0] % 2 == 1
    assert found.sum() == pytest.approx(1.0)
    cut = (side - found.shape[0]) // 2
    core = psf[cut : side - cut, cut : side - cut]
    np.testing.assert_allclose(found, core / core.sum(), rtol=1e-6, atol=1e-12)
    assert core.sum() > reference.PSF_FLUX


def test_pysersic_absent_is_said_in_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "pysersic.rendering", None)
    scene = mock_scene(CONFIG, bands=({"side": 31},))
    with pytest.raises(ConfigError, match=r"pip install 'pxdask\[pysersic\]'"):
        reference.scene_renderers(scene)


def test_the_mock_has_its_half_light_radius():
    radius = np.linspace(1e-4, 40, 400_000)
    light = np.cumsum(2 * np.pi * radius * sersic(radius, index=1.5)) * (radius[1] - radius[0])
    assert np.interp(0.5, light, radius) == pytest.approx(1.0, rel=2e-3)
    assert light[-1] == pytest.approx(1.0, rel=2e-3)
