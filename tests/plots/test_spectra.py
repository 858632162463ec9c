"""Figure of a bin's photometry and spectrum."""

import numpy as np
import pytest
import xarray as xr
from matplotlib import pyplot as plt

from pxdask.core.errors import SchemaError, StoreError
from pxdask.core.schema import BINS, FIT, QUANTILES
from pxdask.kernels.bandpass import flux_per_frequency
from pxdask.plots.spectra import spectrum_figure, write_spectrum_figure
from pxdask.testing import fake_galaxy
from tests.ifs.test_lines import LSF, WAVE, Z, mock


def bins_of():
    """Return bins of which the photometry is that of the spectrum's continuum, and falls."""
    bins = fake_galaxy(rng=np.random.default_rng(1), n_model=2, n_pixel=8).bins
    n_bin, pivot = bins.sizes["bin"], bins["pivot_wave"].values
    rng = np.random.default_rng(4)
    level = 3.0 * (WAVE / 5500) ** -0.7
    spectrum = mock(n_bin, level=level) + 0.15 * rng.standard_normal((n_bin, WAVE.size))
    spectrum[:, 900:920] = np.nan
    flux = np.tile(flux_per_frequency(3e-17 * (pivot / 5500) ** -0.7, pivot=pivot), (n_bin, 1))
    values = {
        "wave": WAVE,
        "lsf_fwhm": LSF,
        "spectrum": spectrum,
        "spectrum_err": np.full(spectrum.shape, 0.15),
        "flux": flux,
        "flux_err": 0.04 * flux,
    }
    added = {name: (BINS.variables[name].dims, v, BINS.attrs(name)) for name, v in values.items()}
    return BINS.validate(bins.assign(added).set_coords("wave"))


def fit_of(bins):
    n_bin = bins.sizes["bin"]
    values = {
        "chi2": np.ones(n_bin), "n_used": np.full(n_bin, 3, np.int32), "n_eff": np.ones(n_bin),
        "ln_evidence": np.ones(n_bin), "model_flux": bins["flux"].values,
        "quantile": np.array(QUANTILES), "wave": WAVE, "lsf_fwhm": LSF,
        "model_spectrum": np.tile(3.0 * (WAVE / 5500) ** -0.7, (n_bin, 1)),
    }  # fmt: skip
    ds = xr.Dataset(
        {name: (FIT.variables[name].dims, v, FIT.attrs(name)) for name, v in values.items()},
        attrs={"schema": FIT.tag},
    ).set_coords(["quantile", "wave"])
    return FIT.validate(ds.assign_coords({k: bins[k] for k in ("band", "pivot_wave")}))


def test_bands_spectrum_model_and_lines_are_there():
    bins = bins_of()
    figure = spectrum_figure(bins, number=2, redshift=Z, title="fake", fit=fit_of(bins))
    whole, near, below = figure.axes
    assert figure.get_suptitle() == "fake"
    labels = [text.get_text() for text in whole.get_legend().get_texts()]
    assert set(labels) == {"model", "photometry", "spectrum", "model spectrum"}
    # Photometry and spectrum are in one unit: the points are on the continuum.
    points = next(line for line in near.lines if line.get_marker() == "s")
    np.testing.assert_allclose(points.get_ydata(), 3 * (points.get_xdata() / 5500) ** -0.7)
    marked = [text.get_text() for text in near.texts]
    assert r"H$\beta$" in marked
    assert "[S III]" not in marked
    drawn = next(line for line in below.lines if len(line.get_xdata()) == WAVE.size)
    assert np.isnan(drawn.get_ydata()[900:920]).all()
    assert np.nanmedian(drawn.get_ydata()) == pytest.approx(0, abs=0.1)
    assert plt.get_fignums() == []


def test_no_fit_and_no_spectrum():
    bins = bins_of()
    bins["spectrum"].values[1] = np.nan
    bins["flux"].values[1] = np.nan
    figure = spectrum_figure(bins, number=1, redshift=Z, title="")
    assert "no spectrum" in [text.get_text() for text in figure.axes[1].texts]
    assert figure.axes[2].get_ylabel() == "S/N"


def test_what_is_refused():
    bins = bins_of()
    with pytest.raises(SchemaError, match="no bin 999"):
        spectrum_figure(bins, number=999, redshift=Z, title="")
    with pytest.raises(SchemaError, match="no spectra"):
        spectrum_figure(bins.drop_vars("spectrum"), number=0, redshift=Z, title="")


def test_files_are_the_same_each_time(tmp_path):
    bins = bins_of()
    kwargs = {"number": 0, "redshift": Z, "title": "a", "fit": fit_of(bins)}
    for name in ("a", "b"):
        write_spectrum_figure(tmp_path / f"{name}.png", bins, **kwargs)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with pytest.raises(StoreError):
        write_spectrum_figure(tmp_path / "a.png" / "b.png", bins, **kwargs)
