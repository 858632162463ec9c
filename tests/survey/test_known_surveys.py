"""Images as archives deliver them, from headers to one flux: all a band says is its survey."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

from pxdask.core.config import SurveyConfig
from pxdask.images import footprint
from pxdask.io.raw import read_raw
from pxdask.survey.inspect import inspect_galaxy
from pxdask.survey.pipeline import Pipeline
from pxdask.survey.preflight import preflight
from pxdask.survey.products import store_products

GALAXY = {"id": "g0", "ra": 150.0, "dec": 2.0, "redshift": 0.05, "ebv": 0.05}
FLUX = 5000.0  # of the galaxy in every band [uJy]
SIDE = 120.0  # of the images [arcsec]


def sky(scale, **cards):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [GALAXY["ra"], GALAXY["dec"]]
    n = round(SIDE / scale)
    wcs.wcs.crpix = [(n + 1) / 2, (n + 1) / 2]
    wcs.wcs.cdelt = [-scale / 3600, scale / 3600]
    header = wcs.to_header()
    header.update(cards)
    y, x = (np.mgrid[:n, :n] - (n - 1) / 2) * scale
    sigma = 4.0 / 2.3548
    light = np.exp(-(x**2 + y**2) / (2 * sigma**2))
    return header, FLUX * light / light.sum()


def write_images(folder):
    """GALEX, SDSS, 2MASS, WISE and JWST, each in its own unit, with its own sky and noise."""
    rng = np.random.default_rng(11)
    header, light = sky(1.5, EXPTIME=1500.0)
    rate = light / 10 ** (0.4 * (23.9 - 20.08)) + 0.003
    image = (rng.poisson(rate * 1500) / 1500).astype("f4")
    fits.PrimaryHDU(image, header).writeto(folder / "nuv-int.fits.gz")
    header, light = sky(0.396, CAMCOL=3, RUN=2000, BUNIT="nanomaggy")
    n = light.shape[0]
    counts = rng.poisson((light / 3.631 / 0.005 + 120.0) * 4.72) / 4.72
    counts += rng.normal(0, np.sqrt(1.3225), counts.shape)
    table = fits.BinTableHDU.from_columns(
        [
            fits.Column("ALLSKY", "4E", dim="(2, 2)", array=np.full((1, 2, 2), 120.0)),
            fits.Column("XINTERP", f"{n}E", array=np.linspace(0, 1, n)[None]),
            fits.Column("YINTERP", f"{n}E", array=np.linspace(0, 1, n)[None]),
        ]
    )
    frame = fits.PrimaryHDU(((counts - 120.0) * 0.005).astype("f4"), header)
    calibration = fits.ImageHDU(np.full(n, 0.005, "f4"))
    fits.HDUList([frame, calibration, table]).writeto(folder / "frame-r.fits.bz2")
    header, light = sky(1.0, MAGZP=20.9)
    image = light / 6.95806 + 80.0 + rng.normal(0, 1.0, light.shape)
    fits.PrimaryHDU(image.astype("f4"), header).writeto(folder / "j.fits")
    header, light = sky(1.375, MAGZP=20.5)
    image = light / 1.9350 + 30.0 + rng.normal(0, 2.0, light.shape)
    fits.PrimaryHDU(image.astype("f4"), header).writeto(folder / "w1-int.fits")
    fits.PrimaryHDU(np.full(light.shape, 2.0, "f4"), header).writeto(folder / "w1-unc.fits")
    header, light = sky(0.5, BUNIT="MJy/sr")
    image = light / (23.504431 * 0.25)
    extensions = [
        fits.ImageHDU(image.astype("f4"), header, name="SCI"),
        fits.ImageHDU(np.full(image.shape, 0.01, "f4"), header, name="ERR"),
    ]
    fits.HDUList([fits.PrimaryHDU(), *extensions]).writeto(folder / "f200w_i2d.fits")


def settings(**images):
    bands = [
        {"name": "NUV", "filter": "galex_nuv", "survey": "galex", "image": "nuv-int.fits.gz"},
        {"name": "r", "filter": "sdss_r", "survey": "sdss", "image": "frame-r.fits.bz2"},
        {"name": "J", "filter": "2mass_j", "survey": "2mass", "image": "j.fits"},
        {
            "name": "W1",
            "filter": "wise_w1",
            "survey": "wise",
            "image": "w1-int.fits",
            "uncertainty": {"path": "w1-unc.fits"},
        },
        {"name": "F200W", "filter": "jwst_f200w", "survey": "jwst", "image": "f200w_i2d.fits"},
    ]
    return {"bands": bands, "images": {"stamp_size": 45.0, **images}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("archive")
    write_images(found)
    return found


def processed(folder, store, config):
    """Return each band's image/1, by name."""
    inputs = inspect_galaxy(GALAXY, config, root=str(folder))
    names = [band.filter for band in inputs.bands]
    pipeline = Pipeline(inputs, config, store_products(store, config.models, names))
    done = {}
    for band in inputs.bands:
        header = inputs.headers[band.name]
        part = footprint(header, inputs.grid, margin_pix=pipeline.margin_pix(band.name))
        raw = read_raw(band, header, footprint=part)
        done[band.name] = pipeline.image_stage(band.name).run(GALAXY, raw=raw)
    return done


def test_every_survey_gives_the_same_galaxy(folder, tmp_path):
    config = SurveyConfig.parse(settings() | {"models": {"ssp": "synthetic"}})
    assert preflight(Table([GALAXY]), config, root=str(folder), store=tmp_path).problems == ()
    for name, image in processed(folder, tmp_path, config).items():
        flux = image["flux"].values[0].astype(float)
        variance = image["flux_err"].values[0].astype(float) ** 2
        assert np.all(np.isfinite(flux)), name
        assert image["psf_fwhm"].values[0] == pytest.approx(6.1)
        area = image["noise_area"].values[0]
        error = np.sqrt(variance.sum() * area * flux.size / (flux.size + area - 1))
        assert flux.sum() == pytest.approx(FLUX, abs=3 * error + 0.005 * FLUX), name
        assert flux.max() / np.sqrt(variance.max()) > 10, name


def test_dust_in_front_is_undone_in_every_band(folder, tmp_path):
    base = {"models": {"ssp": "synthetic"}}
    plain = processed(folder, tmp_path, SurveyConfig.parse(settings() | base))
    dust = SurveyConfig.parse(settings(extinction={}) | base)
    cleared = processed(folder, tmp_path, dust)
    ratio = {
        name: float(np.nanmedian(cleared[name]["flux"] / plain[name]["flux"])) for name in plain
    }
    # Fitzpatrick 1999 at E(B-V) = 0.05: 2.285 a magnitude of E(B-V) in r (Schlafly & Finkbeiner
    # 2011, table 6, for their 0.86 E(B-V)), hence 2.66; less and less to the infrared
    assert ratio["r"] == pytest.approx(10 ** (0.4 * 0.05 * 2.285 / 0.86), rel=0.01)
    assert ratio["NUV"] > ratio["r"] > ratio["J"] > ratio["F200W"] > ratio["W1"] > 1


def test_what_archives_left_out_is_told_before_the_run(folder, tmp_path):
    values = settings(extinction={"column": "dust"}, region={"kind": "circle", "radius": "r25"})
    values["bands"][2] |= {"image": "w1-int.fits.none"}
    values["bands"][3] |= {"survey": "euclid", "filter": "euclid_vis", "psf": {"fwhm": 0.2}}
    found = preflight(Table([GALAXY]), SurveyConfig.parse(values), root=str(folder), store=tmp_path)
    text = "\n".join(str(problem) for problem in found.problems)
    for words in (
        "band J: no such file",
        "band W1: ",
        "w1-int.fits: the header has no MAGZERO, which survey 'euclid' needs for the flux",
        "column 'dust' holds None",
        "column 'r25' holds None",
    ):
        assert words in text, text


def pipeline_of(folder, store, config):
    inputs = inspect_galaxy(GALAXY, config, root=str(folder))
    names = [band.filter for band in inputs.bands]
    return Pipeline(inputs, config, store_products(store, config.models, names))


def test_the_sky_around_the_stamp_is_read_where_it_is_measured(folder, tmp_path):
    config = SurveyConfig.parse(settings(match_psf=False) | {"models": {"ssp": "synthetic"}})
    pipeline = pipeline_of(folder, tmp_path, config)
    assert pipeline.margin_pix("J") == 2 * 64
    assert pipeline.margin_pix("r") < 10  # subtracted on delivery
    values = settings(match_psf=False) | {"models": {"ssp": "synthetic"}}
    values["bands"][2] |= {"background": {"box": 20}}
    assert pipeline_of(folder, tmp_path, SurveyConfig.parse(values)).margin_pix("J") == 40


def test_the_widest_psf_is_the_target_with_its_shape(folder, tmp_path):
    values = settings() | {"models": {"ssp": "synthetic"}}
    values["bands"][1] |= {"psf": {"fwhm": 7.0, "shape": "double_gaussian"}}
    target = pipeline_of(folder, tmp_path, SurveyConfig.parse(values)).target()
    assert (target.shape, target.fwhm) == ("double_gaussian", 7.0)


def test_keys_change_with_sky_dust_and_matching(folder, tmp_path):
    def keys(changes=None, **images):
        values = settings(**images) | {"models": {"ssp": "synthetic"}}
        values["bands"][2] |= changes or {}
        return pipeline_of(folder, tmp_path, SurveyConfig.parse(values)).keys()

    first = keys()
    assert keys().cube == first.cube
    assert keys({"background": {"box": 32}}).image["J"] != first.image["J"]
    assert keys({"background": {"box": 32}}).image["r"] == first.image["r"]
    assert keys(extinction={}).image["r"] != first.image["r"]
    assert keys(kernel_method="regularised").image["r"] != first.image["r"]
    region = {"kind": "circle", "radius": 5.0}
    assert keys(region=region).image == first.image
    assert keys(region=region).cube != first.cube
