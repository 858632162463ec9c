"""Slices of cubes: parts, packing, masks, missing errors."""

import gzip
import pickle
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from hypothesis import given
from hypothesis import strategies as st

from pxdask.core.errors import DataError
from pxdask.core.flags import Flag
from pxdask.core.ifs import IfsConfig
from pxdask.io.ifs import read_ifs, read_ifs_header
from pxdask.io.ifs.read import _sigma
from pxdask.io.stores import publish, read
from tests.io.ifs import cubes
from tests.paths import real_data


def header_of(path, **settings):
    return read_ifs_header(IfsConfig(path=str(path), **settings))


@pytest.mark.parametrize("kind", cubes.KINDS)
def test_parts_are_those_of_the_whole(tmp_path, kind):
    header = header_of(cubes.KINDS[kind](tmp_path / "a.fits"))
    whole = read_ifs(header, 0, 5)
    part = read_ifs(header, 1, 4, rows=slice(1, 4), columns=slice(2, 3))
    wanted = whole.isel(wave=slice(1, 4), y=slice(1, 4), x=slice(2, 3))
    for name in ("flux", "flux_err", "flags", "lsf_fwhm", "psf_fwhm", "wave"):
        np.testing.assert_array_equal(part[name].values, wanted[name].values, err_msg=name)
    sky = WCS(whole.attrs["wcs"]).pixel_to_world_values(2, 1)
    np.testing.assert_allclose(WCS(part.attrs["wcs"]).pixel_to_world_values(0, 0), sky, rtol=1e-12)


def test_a_range_of_wavelengths_reads_its_own_slices(tmp_path):
    path = cubes.generic(tmp_path / "a.fits")
    used = read_ifs(header_of(path, wave_range=(5003, 5007)), 1, 2)
    whole = read_ifs(header_of(path), 3, 4)
    np.testing.assert_array_equal(used["flux"].values, whole["flux"].values)
    assert used["wave"].values == [5006.0]


@pytest.mark.parametrize(
    "part",
    [
        {"start": 3, "stop": 3},
        {"start": -1, "stop": 2},
        {"start": 0, "stop": 6},
        {"start": 0, "stop": 1, "rows": slice(2, 5)},
        {"start": 0, "stop": 1, "columns": slice(3, 3)},
    ],
)
def test_what_is_outside_is_refused(tmp_path, part):
    header = header_of(cubes.generic(tmp_path / "a.fits"))
    with pytest.raises(DataError, match="empty or reach outside"):
        read_ifs(header, **part)


def test_packed_files_give_the_same(tmp_path):
    path = Path(cubes.manga(tmp_path / "a.fits"))
    plain = read_ifs(header_of(path), 0, 5)
    (tmp_path / "b.fits.gz").write_bytes(gzip.compress(path.read_bytes()))
    with fits.open(path) as hdus:
        packed = [
            fits.CompImageHDU(h.data, h.header, name=h.name, compression_type="GZIP_1",
                              quantize_level=0)
            if h.name in {"FLUX", "IVAR", "MASK"} else h.copy()
            for h in hdus
        ]  # fmt: skip
        fits.HDUList(packed).writeto(tmp_path / "c.fits")
    for other in ("b.fits.gz", "c.fits"):
        got = read_ifs(header_of(tmp_path / other), 0, 5)
        for name in plain.variables:
            np.testing.assert_array_equal(got[name].values, plain[name].values, err_msg=other)


def test_a_header_travels_to_workers(tmp_path):
    header = header_of(cubes.nirspec(tmp_path / "a.fits"))
    other = pickle.loads(pickle.dumps(header))  # noqa: S301  made here
    np.testing.assert_array_equal(read_ifs(other, 0, 1)["flux"], read_ifs(header, 0, 1)["flux"])


@pytest.mark.parametrize("kind", ["muse", "manga", "califa"])
def test_slices_are_stored_as_they_are(tmp_path, kind):
    header = header_of(cubes.KINDS[kind](tmp_path / "a.fits"))
    slices = read_ifs(header, 0, 5)
    publish(slices, tmp_path / "s.zarr.zip")
    stored = read(tmp_path / "s.zarr.zip")
    np.testing.assert_array_equal(stored["flux"].values, slices["flux"].values)
    assert stored.attrs["ebv"] == slices.attrs["ebv"] == header.ebv


def test_spaxels_that_are_masked_at_all_wavelengths(tmp_path):
    mask = np.zeros(cubes.SHAPE, np.int32)
    mask[:, 2, 1] = 3
    error = cubes.image(np.full(cubes.SHAPE, 0.1, np.float32), "ERR")
    path = cubes.generic(tmp_path / "a.fits", error, cubes.image(mask, "MASK"))
    slices = read_ifs(header_of(path), 0, 5)
    assert np.all(slices["flags"].values[:, 2, 1] == Flag.MASKED)
    assert np.all(np.isnan(slices["flux"].values[:, 2, 1]))
    assert np.count_nonzero(slices["flags"].values) == 5
    everything = cubes.generic(
        tmp_path / "b.fits", error, cubes.image(np.ones(cubes.SHAPE, np.int32), "MASK")
    )
    slices = read_ifs(header_of(everything), 0, 5)
    assert np.all(np.isnan(slices["flux"].values))
    assert np.all(slices["flags"].values == Flag.MASKED)


def test_a_cube_without_errors_says_so(tmp_path):
    header = header_of(cubes.generic(tmp_path / "a.fits"))
    assert any("no errors" in note for note in header.notes)
    slices = read_ifs(header, 0, 5)
    assert np.all(slices["flags"].values == Flag.NO_ERROR)
    assert np.all(np.isnan(slices["flux_err"].values))
    assert slices["flux"].values[0, 0, 1] == pytest.approx(2e17, rel=1e-6)  # float32


@given(st.floats(1e-30, 1e30))
def test_errors_of_all_kinds_agree(sigma):
    of = {"sigma": sigma, "variance": sigma**2, "ivar": sigma**-2}
    for kind, value in of.items():
        np.testing.assert_allclose(_sigma(np.array([value]), kind), sigma, rtol=1e-12)


@pytest.mark.parametrize("kind", ["sigma", "variance", "ivar"])
def test_errors_that_are_none(kind):
    assert np.all(np.isnan(_sigma(np.array([0.0, -1.0, np.nan, np.inf, -np.inf]), kind)))


def test_a_file_that_changed_after_its_header_was_read(tmp_path):
    path = Path(cubes.generic(tmp_path / "a.fits"))
    header = header_of(path)
    path.write_bytes(path.read_bytes()[:2880])
    with pytest.raises(DataError, match=r"a\.fits"):
        read_ifs(header, 0, 5)


def manga_spectra():
    """The real spectra: wavelength, flux, error (NaN: not to be used), redshift of each."""
    found = []
    for path in sorted(real_data("manga_spectra").glob("*.fits.gz")):
        with fits.open(path) as hdus:
            wave = hdus["WAVE"].data.astype(np.float64)
            for row, z in enumerate(hdus["Z"].data):
                error = _sigma(hdus["IVAR"].data[row].astype(np.float64), "ivar")
                error[hdus["MASK"].data[row] != 0] = np.nan
                found.append((wave, hdus["FLUX"].data[row].astype(np.float64), error, float(z)))
    return found


@pytest.mark.data
def test_the_eleven_real_spectra():
    spectra = manga_spectra()
    assert len(spectra) == 11
    snr = []
    for wave, flux, error, _ in spectra:
        assert wave.shape == flux.shape == error.shape == (4563,)
        np.testing.assert_allclose(np.diff(np.log10(wave)), 1e-4, rtol=1e-6)
        good = np.isfinite(error)
        snr.append(np.median((flux / error)[good]) if good.any() else 0.0)
    assert snr.count(0.0) == 1  # one is masked at all wavelengths
    assert sum(0 < value < 2 for value in snr) == 1  # and one is nothing but noise
