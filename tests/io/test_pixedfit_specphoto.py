"""Images and spectra in piXedfit's FITS layouts."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from hypothesis import given, settings
from hypothesis import strategies as st

from pxdask.core.errors import ConfigError, DataError, SchemaError
from pxdask.core.flags import Flag
from pxdask.io.pixedfit_specphoto import (
    Matching,
    read_pixedfit_specphoto,
    write_pixedfit_specphoto,
)
from pxdask.testing import fake_galaxy
from tests.binning.test_spectra import cube_of

FLOAT32 = 1.8e-7
"""Three roundings to float32, as a fraction."""
N_WAVE = 6


@pytest.fixture(scope="module")
def galaxy():
    return fake_galaxy(rng=np.random.default_rng(2), n_model=2, n_pixel=8)


@pytest.fixture(scope="module")
def spectra(galaxy):
    rng = np.random.default_rng(6)
    shape = (N_WAVE, *galaxy.cube["flux"].shape[1:])
    region = np.zeros(shape[1:], dtype=bool)
    region[2:6, 2:7] = True
    flux = np.where(region, rng.normal(5, 1, shape), np.nan)
    return cube_of(flux, np.where(np.isfinite(flux), 0.3, np.nan), region=region)


def write(path, galaxy, spectra, **kwargs):
    kwargs = {"galaxy": galaxy.row, "survey": "manga"} | kwargs
    write_pixedfit_specphoto(path, galaxy.cube, spectra, **kwargs)
    return path


def matching_of(spectra):
    rng = np.random.default_rng(1)
    shape = spectra["flux"].shape
    wave = np.linspace(3000.0, 11000.0, 9)
    return Matching(rng.uniform(0.8, 1.2, shape), wave, rng.uniform(1, 2, (9, *shape[1:])))


def test_as_its_documentation_reads_it(tmp_path, galaxy, spectra):
    path = write(tmp_path / "specphoto.fits", galaxy, spectra)
    with fits.open(path) as hdus:
        names = [hdu.name for hdu in hdus]
        assert names[:7] == ["PHOTO_FLUX", "PHOTO_FLUXERR", "WAVE", "SPEC_FLUX", "SPEC_FLUXERR",
                             "SPEC_REGION", "PHOTO_REGION"]  # fmt: skip
        assert "STAMP_IMAGE" in names
        header = hdus[0].header
        wanted = {
            "specphot": 1,
            "ifssurve": "manga",
            "unit": 1e-17,
            "bunit": "erg/s/cm^2/A",
            "structph": "(band,y,x)",
            "structsp": "(wavelength,y,x)",
            "z": galaxy.row["redshift"],
        }
        assert {key: header[key] for key in wanted} == wanted
        assert header["nfilters"] == galaxy.cube.sizes["band"]
        assert WCS(hdus["STAMP_IMAGE"].header).has_celestial
        # 1 uJy is 1e-29 erg s-1 cm-2 Hz-1, and f_lambda = f_nu c / lambda^2.
        cube = galaxy.cube
        factor = 1e-29 * 2.99792458e18 / cube["pivot_wave"].values[:, None, None] ** 2
        flux = hdus["PHOTO_FLUX"].data * float(header["unit"])
        np.testing.assert_allclose(flux, cube["flux"].values * factor, rtol=FLOAT32)
        np.testing.assert_array_equal(hdus["SPEC_FLUX"].data, spectra["flux"].values)
        np.testing.assert_array_equal(hdus["SPEC_REGION"].data == 1, spectra["region"].values)


def test_round_trip(tmp_path, galaxy, spectra):
    found = read_pixedfit_specphoto(write(tmp_path / "s.fits", galaxy, spectra))
    assert found.matching is None
    for name in ("flux", "flux_err"):
        np.testing.assert_allclose(found.images[name], galaxy.cube[name], rtol=FLOAT32)
        np.testing.assert_array_equal(found.spectra[name], spectra[name])
    for name in ("band", "pivot_wave", "psf_fwhm", "region"):
        np.testing.assert_array_equal(found.images[name], galaxy.cube[name])
    for name in ("wave", "lsf_fwhm", "region"):
        np.testing.assert_array_equal(found.spectra[name], spectra[name])
    ours, theirs = (WCS(ds.attrs["wcs"]).celestial for ds in (found.spectra, galaxy.cube))
    np.testing.assert_allclose(ours.all_pix2world([[3, 4]], 0), theirs.all_pix2world([[3, 4]], 0))
    assert np.all(found.spectra["flags"].values[:, ~spectra["region"].values] == Flag.NO_DATA)


def test_corrected_files(tmp_path, galaxy, spectra):
    matching = matching_of(spectra)
    path = write(tmp_path / "corr.fits", galaxy, spectra, matching=matching)
    with fits.open(path) as hdus:
        names = [hdu.name for hdu in hdus]
    assert names[7:10] == ["MOD_WAVE", "MOD_FLUX", "CORR_FACTOR"]
    assert "STAMP_IMAGE" not in names
    found = read_pixedfit_specphoto(path)
    region = spectra["region"].values
    np.testing.assert_allclose(
        found.matching.factor[:, region], matching.factor[:, region], rtol=FLOAT32
    )
    assert np.all(np.isnan(found.matching.factor[:, ~region]))
    np.testing.assert_array_equal(found.matching.model_wave, matching.model_wave)
    np.testing.assert_allclose(found.matching.model_flux, matching.model_flux, rtol=FLOAT32)
    assert "wcs" in found.images.attrs


def test_files_of_piXedfit_have_none_of_our_keys(tmp_path, galaxy, spectra):  # noqa: N802 - a name
    path = write(tmp_path / "s.fits", galaxy, spectra)
    with fits.open(path) as hdus:
        for name in ("LSF_FWHM", "PSF_FWHM"):
            del hdus[name]
        for i in range(galaxy.cube.sizes["band"]):
            del hdus[0].header[f"pivot{i}"], hdus[0].header[f"band{i}"]
        hdus[0].header["unit"], hdus[0].header["psffwhm"] = 2e-17, "unknown"
        hdus[0].name = ""
        hdus.writeto(tmp_path / "theirs.fits")
    bands = zip(galaxy.cube["band"].values, galaxy.cube["pivot_wave"].values, strict=True)
    found = read_pixedfit_specphoto(tmp_path / "theirs.fits", pivot=dict(bands))
    np.testing.assert_allclose(found.spectra["flux"], 2 * spectra["flux"], rtol=FLOAT32)
    np.testing.assert_allclose(found.images["flux"], 2 * galaxy.cube["flux"], rtol=2 * FLOAT32)
    assert np.all(np.isnan(found.spectra["lsf_fwhm"]))
    assert np.all(np.isnan(found.images["psf_fwhm"]))
    with pytest.raises(ConfigError, match="no curves of the filters fake_0"):
        read_pixedfit_specphoto(tmp_path / "theirs.fits")


@settings(deadline=None, max_examples=10)
@given(st.floats(-1e3, 1e3), st.floats(1e-2, 10))
def test_any_flux_comes_back(tmp_path_factory, flux, error):
    galaxy = fake_galaxy(rng=np.random.default_rng(1), n_model=2, n_pixel=3, n_band=1)
    cube = cube_of(np.full((2, 3, 3), flux), np.full((2, 3, 3), error))
    path = tmp_path_factory.mktemp("s") / "s.fits"
    found = read_pixedfit_specphoto(write(path, galaxy, cube))
    np.testing.assert_array_equal(found.spectra["flux"], cube["flux"])
    np.testing.assert_array_equal(found.spectra["flux_err"], cube["flux_err"])


def test_what_cannot_be_written_or_read(tmp_path, galaxy, spectra):
    path = write(tmp_path / "s.fits", galaxy, spectra)
    with pytest.raises(ConfigError, match="exists"):
        write(path, galaxy, spectra)
    write(path, galaxy, spectra, overwrite=True)
    other = tmp_path / "o.fits"
    with pytest.raises(ConfigError, match="1 filters for"):
        write(other, galaxy, spectra, filters=["one"])
    with pytest.raises(DataError, match="on a grid of"):
        write(other, galaxy, cube_of(np.ones((2, 3, 3))))
    with pytest.raises(DataError, match="factors have the shape"):
        write(other, galaxy, spectra, matching=Matching(np.ones((1, 2, 2))))
    with pytest.raises(SchemaError):
        write_pixedfit_specphoto(other, spectra, spectra, galaxy=galaxy.row, survey="manga")
    with fits.open(path) as hdus:
        hdus["WAVE"].data = hdus["WAVE"].data[:-1]
        hdus.writeto(tmp_path / "short.fits")
        del hdus["SPEC_FLUX"]
        hdus.writeto(other)
    with pytest.raises(
        DataError, match=r"there are 5 wavelengths, and HDU SPEC_FLUX has the shape \(6, 8, 8\)"
    ):
        read_pixedfit_specphoto(tmp_path / "short.fits")
    with pytest.raises(DataError, match="no HDU SPEC_FLUX"):
        read_pixedfit_specphoto(other)
    with pytest.raises(DataError, match="no such file"):
        read_pixedfit_specphoto(tmp_path / "none.fits")
