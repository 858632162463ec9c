"""What a galaxy's viewer shows is what the run has."""

import numpy as np
import pytest

import pxdask
from pxdask.core.errors import DataError
from pxdask.survey.looking.plotting import data_of
from pxdask.survey.looking.viewing import histories_of, viewer_data


class TestViewerData:
    def test_it_is_what_the_run_has(self, run):
        shown = viewer_data(data_of(run, "g00"))
        bins, fit = run.dataset("g00", "bins"), run.dataset("g00", "fit")
        n = shown.start
        order = np.argsort(bins["pivot_wave"].values)
        np.testing.assert_allclose(
            shown.seds.model[n], fit["model_flux"].values[n, order], rtol=1e-6
        )
        names = [name for name, _ in shown.results]
        np.testing.assert_allclose(
            shown.quantiles[names.index("log M★"), n], fit["log_mass"].values[n], rtol=1e-6
        )
        assert np.count_nonzero(shown.bin_map >= 0) == int(bins["n_pix"].sum())

    def test_large_maps_are_sampled(self, run):
        data = data_of(run, "g00")
        whole, less = viewer_data(data), viewer_data(data, max_side=8)
        assert max(less.bin_map.shape) <= 8 < max(whole.bin_map.shape)
        step = -(-max(whole.bin_map.shape) // 8)
        np.testing.assert_array_equal(less.bin_map, whole.bin_map[::step, ::step])
        assert less.extent[0] == whole.extent[0]

    def test_histories_are_those_of_the_posterior(self, run):
        """All bins at once give what they give one by one, from the same samples."""
        found = histories_of(data_of(run, "g00"))
        assert "40 posterior samples" in found.note
        posterior = run.posterior("g00")
        for n in (0, len(posterior) - 1):
            known = posterior.sfh(n, n_time=found.time.size)
            np.testing.assert_allclose(found.rate[n], known.rate.to_value("Msun / yr"), rtol=1e-5)
            np.testing.assert_allclose(found.time, known.time.to_value("Gyr"))

    def test_only_some_bins_have_histories(self, run):
        data = data_of(run, "g00")
        found = histories_of(data, n_bin=2)
        mass = data.fit["log_mass"].sel(quantile=0.5).values
        has = np.isfinite(found.rate[:, 1, 0])
        assert has.sum() == 2
        assert mass[has].min() >= mass[~has].max()
        assert "2 bins of most mass" in found.note

    def test_without_samples_a_history_has_no_interval(self, finished_run):
        """It adds up to the mass formed, of which half or more lives or is left as remnants."""
        data = data_of(finished_run, "g00")
        found = histories_of(data)
        np.testing.assert_array_equal(found.rate[:, 0], found.rate[:, 2])
        assert "no samples" in found.note
        ends = np.zeros(found.time.size + 1)
        for i, middle in enumerate(found.time):
            ends[i + 1] = 2 * middle - ends[i]
        formed = np.sum(found.rate[:, 1] * np.diff(ends), axis=1) * 1e9
        left = 10 ** data.fit["log_mass"].sel(quantile=0.5).values / formed
        assert np.all((left > 0.5) & (left < 1))

    def test_no_maps_no_viewer(self, run):
        with pytest.raises(DataError, match="g02"):
            pxdask.view(run, "g02")
