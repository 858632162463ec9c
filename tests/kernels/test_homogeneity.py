"""Chi-square of the shapes of SEDs."""

import numpy as np
import pytest

from pxdask.kernels.homogeneity import shape_chi2


def test_chi2_by_hand():
    # Scale (2 + 12) / (1 + 4) = 2.8: residuals -0.8 and 0.4, over 0.5 squared: 4 (0.64 + 0.16).
    flux = np.array([2.0, 6.0])[:, None, None]
    chi2, dof = shape_chi2(
        flux, np.full((2, 1, 1), 0.5), np.zeros((1, 1), np.int32), np.array([[1.0, 2.0]])
    )
    assert chi2[0] == pytest.approx(3.2, rel=1e-14)
    assert dof[0] == 1


def test_a_scaled_copy_fits_and_unusable_bands_do_not_count():
    flux = np.array([1.0, np.nan, 3.0, 9.0])[:, None, None] * np.array([1.0, -2.0, 0.0])
    error = np.ones_like(flux)
    error[3] = 0.0
    label = np.zeros((1, 3), dtype=np.int32)
    chi2, dof = shape_chi2(flux, error, label, np.array([[2.0, 5.0, 6.0, 7.0]]))
    assert chi2[0] == pytest.approx(0.0, abs=1e-28)
    assert dof[0] == 3  # two bands a pixel, less a scale each


def test_pixels_outside_and_bins_without_light():
    flux, error = np.ones((2, 1, 2)), np.ones((2, 1, 2))
    chi2, dof = shape_chi2(flux, error, np.array([[-1, 1]], np.int32), np.zeros((2, 2)))
    np.testing.assert_array_equal(chi2, [0, 2])  # no scale helps a model of zero
    np.testing.assert_array_equal(dof, [0, 1])
