"""Commands about bins as a user meets them."""

import json
import re

import numpy as np
import pytest
from astropy.io import fits
from typer.testing import CliRunner

from pxdask.binning.given import given_bins
from pxdask.cli.app import app
from pxdask.core.errors import ConfigError
from pxdask.io.pixedfit_bins import read_pixedfit_bins
from pxdask.survey.results import open_run
from tests.survey.mini import BANDS, make_survey


def call(*words):
    result = CliRunner().invoke(app, [str(word) for word in words])
    if isinstance(result.exception, ConfigError):
        raise result.exception
    return result


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    root = tmp_path_factory.mktemp("bins")
    catalog, config = make_survey(root, 1)
    words = ["run", catalog, config, "--store", root / "run", "--data-root", root, "--serial"]
    result = call(*words)
    assert result.exit_code == 0, result.output
    return root / "run"


def test_show(store):
    bins = open_run(store).dataset("g00", "bins")
    text = call("bins", "show", store, "g00").output
    n_bin, n_pix = bins.sizes["bin"], int(bins["n_pix"].sum())
    assert f"g00: {n_bin} bins of {n_pix} pixels" in text
    median = np.median(bins["snr"].values[:, 0])
    assert re.search(rf"│ g\s*│.*│ {median:.3g}\s*│", text)


def test_json_has_the_figures_of_the_dataset(store):
    bins = open_run(store).dataset("g00", "bins")
    found = json.loads(call("bins", "show", store, "g00", "--json").output)
    assert found["n_bin"] == bins.sizes["bin"]
    assert found["reference_band"] == "r"
    assert [band["band"] for band in found["bands"]] == list(BANDS)
    for i, band in enumerate(found["bands"]):
        snr = bins["snr"].values[:, i]
        np.testing.assert_allclose(band["snr"], np.quantile(snr, [0, 0.16, 0.5, 0.84, 1]))
        assert band["n_limited"] == np.sum(bins["limiting_band"].values == i)
        assert band["n_below"] == np.sum(snr < 20 * (1 - 1e-9))
    assert sum(band["n_limited"] for band in found["bands"]) == found["n_bin"]
    assert found["n_below"] <= sum(band["n_below"] for band in found["bands"])


def test_plot(store, tmp_path):
    result = call("bins", "plot", store, "g00", tmp_path / "a.png")
    assert result.output.strip() == str(tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize("layout", ["current", "1.0"])
def test_export_and_import(store, tmp_path, layout):
    bins = open_run(store).dataset("g00", "bins")
    path, image = tmp_path / "pixbin.fits", tmp_path / "map.fits"
    result = call("bins", "export", store, "g00", path, "--layout", layout)
    assert f"{bins.sizes['bin']} bins in 3 bands" in result.output
    header = fits.getheader(path)
    assert [header[f"fil{i}"] for i in range(3)] == list(BANDS.values())
    assert header["z"] == 0.05
    found = read_pixedfit_bins(path).bins
    np.testing.assert_allclose(found["flux"].values, bins["flux"].values, rtol=1.2e-7)
    call("bins", "import", path, image)
    np.testing.assert_array_equal(fits.getdata(image), bins["bin_map"].values + 1)
    assert fits.getheader(image)["CTYPE1"] == "RA---TAN"
    region = bins["bin_map"].values >= 0
    again = given_bins(fits.getdata(image), region)
    np.testing.assert_array_equal(again, bins["bin_map"].values)
    with pytest.raises(ConfigError, match="exists"):
        call("bins", "import", path, image)
    with pytest.raises(ConfigError, match="exists"):
        call("bins", "export", store, "g00", path)
    assert call("bins", "import", path, image, "--overwrite").exit_code == 0


def test_faults(store, tmp_path):
    with pytest.raises(ConfigError, match="no bins of galaxy 'g77'"):
        call("bins", "show", store, "g77")
    with pytest.raises(ConfigError, match="layout is '3'"):
        call("bins", "export", store, "g00", tmp_path / "a.fits", "--layout", 3)
