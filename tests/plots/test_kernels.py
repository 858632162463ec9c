"""Figures of kernels."""

import struct

import numpy as np
import pytest
from matplotlib import pyplot as plt

from pxdask.core.errors import StoreError
from pxdask.images.kernel_check import check_kernel
from pxdask.images.psf import Psf, matching_kernel
from pxdask.plots.kernels import kernel_figure, write_kernel_figure


@pytest.fixture(scope="module")
def check():
    source, target = Psf(fwhm=1.5, shape="double_gaussian"), Psf(fwhm=3.5)
    kernel = matching_kernel(source, target, pixel_scale=0.5)
    return check_kernel(kernel, source=source, target=target, pixel_scale=0.5)


def test_the_figure_shows_profiles_difference_and_images(check):
    figure = kernel_figure(check, title="sdss:u to 2mass:j")
    profile, difference, energy, words = figure.axes[:4]
    drawn = {line.get_label().split(":")[0]: line.get_ydata() for line in profile.lines}
    assert set(drawn) == {"before", "after", "target"}
    seen = check.profile_target.values > 0  # a logarithmic axis has no place for what is not
    np.testing.assert_allclose(drawn["target"][seen], check.profile_target.values[seen])
    percent = difference.lines[-1].get_ydata()
    assert np.max(np.abs(percent)) == pytest.approx(100 * float(check.profile_residual))
    assert [line.get_ydata()[-1] for line in energy.lines] == pytest.approx([1, 1, 1], abs=1e-3)
    assert "1.00000" in [text.get_text() for text in words.texts]
    assert [axes.get_title() for axes in figure.axes[4:]] == [
        "before", "kernel", "after", "target", "after − target"
    ]  # fmt: skip
    assert figure.get_suptitle() == "sdss:u to 2mass:j"
    assert plt.get_fignums() == []


def test_no_kernel_and_a_bad_one_can_be_drawn():
    for kernel in (None, np.eye(5) / 5, -0.2 * np.eye(3)):
        found = check_kernel(kernel, source=Psf(fwhm=2.0), target=Psf(fwhm=3.0), pixel_scale=0.5)
        difference = kernel_figure(found).axes[1]
        reach = np.max(np.abs(difference.lines[-1].get_ydata()))
        assert difference.get_ylim()[1] >= reach


def test_the_file_is_a_png_with_equal_bytes_for_equal_input(check, tmp_path):
    one, other = tmp_path / "a" / "one.png", tmp_path / "other.png"
    write_kernel_figure(one, check, title="x")
    write_kernel_figure(other, check, title="x")
    head = one.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", head[16:]) == (1690, 832)
    assert one.read_bytes() == other.read_bytes()


def test_a_file_that_cannot_be_written_is_a_store_error(check, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot write"):
        write_kernel_figure(tmp_path / "file" / "x.png", check)
