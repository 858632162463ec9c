import numpy as np
import pytest

from benchmarks.morphology_mocks import Camera, Truth, fine_image, pixel_psf
from pxdask.morphology.parameters import fft_side
from pxdask.morphology.scene import psf_transform

pytest.importorskip("jax")
SIDE = 48
CAMERA = Camera(1.0, 3.2, over=11)
CASES = {
    "disc": (1.0, 5.0, 0.6),
    "cusp of 1.5 pixels": (4.0, 1.5, 0.3),
    "cusp that fills the stamp": (4.0, 9.0, 0.5),
    "Gaussian": (0.5, 4.0, 0.4),
    "flat top": (0.3, 6.0, 0.2),
    "edge on, wide": (2.0, 12.0, 0.85),
}


def numbers_of(truth):
    """Return the numbers of an image of one arcsec per pixel, north up, east to the left."""
    major = truth.r_eff * np.array([-np.sin(truth.theta), np.cos(truth.theta)])
    minor = (1 - truth.ellip) * truth.r_eff * np.array([np.cos(truth.theta), np.sin(truth.theta)])
    square = np.outer(major, major) + np.outer(minor, minor)
    middle = (SIDE - 1) / 2
    shape = square[0, 0], square[0, 1], square[1, 1], truth.n
    return np.array([middle - truth.xc, middle + truth.yc, *shape])


@pytest.fixture(scope="module")
def rendered():
    """Return a function from numbers to an image, compiled once."""
    from pxdask.morphology.compiled import double_precision

    with double_precision():
        import jax

        from pxdask.morphology.rendering import sersic_image

        program = jax.jit(sersic_image, static_argnames="side")

    def image(numbers, psf):
        with double_precision():
            return np.asarray(program(numbers, psf, side=SIDE))

    return image


@pytest.fixture(scope="module")
def psf():
    return psf_transform(pixel_psf(CAMERA), n_fft=fft_side(SIDE))


@pytest.mark.parametrize("case", CASES)
def test_images_are_those_of_fine_pixels(case, rendered, psf):
    """Fine pixels, eleven to a pixel, of astropy's profile and a Moffat PSF.

    The PSF of pixels has aliases of 0.1 % at the Nyquist frequency, and fine pixels err by as much
    where the profile is steep.
    """
    index, radius, ellip = CASES[case]
    truth = Truth(1.0, xc=0.3, yc=-0.2, r_eff=radius, n=index, ellip=ellip, theta=0.7)
    wanted = fine_image(truth, CAMERA, side=SIDE)
    found = rendered(numbers_of(truth), psf)
    assert np.max(np.abs(found - wanted)) < 2e-3 * wanted.max()
    assert np.sum(np.abs(found - wanted)) < 3e-3


def test_wide_gaussians_do_not_come_round_the_edge(rendered, psf):
    """The transform alone would fold 20 % of this galaxy's light back into the stamp."""
    truth = Truth(1.0, xc=0.0, yc=0.0, r_eff=12.0, n=4.0, ellip=0.3, theta=0.2)
    wanted = fine_image(truth, CAMERA, side=SIDE)
    found = rendered(numbers_of(truth), psf)
    corner = np.s_[:6, :6]
    assert found[corner].sum() == pytest.approx(wanted[corner].sum(), rel=0.02)


def test_all_the_light_of_a_small_source_is_there(rendered, psf):
    truth = Truth(1.0, xc=0.0, yc=0.0, r_eff=0.3, n=0.8, ellip=0.0, theta=0.0)
    # the PSF is cut at 31 pixels, inside the stamp
    assert rendered(numbers_of(truth), psf).sum() == pytest.approx(1.0, abs=1e-4)


def test_a_point_is_the_psf_itself():
    from pxdask.morphology.compiled import double_precision
    from pxdask.morphology.rendering import point_image

    image = pixel_psf(CAMERA, side=31)
    with double_precision():
        psf = psf_transform(image, n_fft=fft_side(SIDE))
        found = np.asarray(point_image(np.array([20.0, 25.0]), psf, side=SIDE))
    np.testing.assert_allclose(found[10:41, 5:36], image, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("case", ["disc", "cusp that fills the stamp"])
def test_derivatives_are_those_of_differences(case, rendered, psf):
    import jax

    from pxdask.morphology.compiled import double_precision
    from pxdask.morphology.rendering import sersic_image

    index, radius, ellip = CASES[case]
    numbers = numbers_of(Truth(1.0, 0.3, -0.2, radius, index, ellip, 0.7))
    with double_precision():
        slopes = jax.jit(jax.jacfwd(lambda each: sersic_image(each, psf, side=SIDE)))(numbers)
    for i in range(6):
        step = 1e-4 * np.eye(6)[i] * max(1.0, abs(numbers[i]))
        change = rendered(numbers + step, psf) - rendered(numbers - step, psf)
        wanted = change / (2 * np.linalg.norm(step))
        np.testing.assert_allclose(slopes[..., i], wanted, atol=3e-4 * np.abs(wanted).max())
