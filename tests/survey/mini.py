"""A survey so small that its whole run takes a second or two: discs in three bands."""

from pathlib import Path

import numpy as np
import yaml
from astropy.table import Table
from astropy.wcs import WCS

from pxdask.core.models import ModelConfig
from pxdask.io.filters import load_filters
from pxdask.io.fits import write_image
from pxdask.sps import PhotometryEngine, synthetic_ssp

BANDS = {"g": "sdss_g", "r": "sdss_r", "i": "sdss_i"}
SIDE = 32
REDSHIFT = 0.05


def position(index):
    return 150.0 + 0.1 * index, 2.0 + 0.05 * index


def header(index, side=SIDE):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = position(index)
    wcs.wcs.crpix = [(side + 1) / 2, (side + 1) / 2]
    wcs.wcs.cdelt = [-1.0 / 3600, 1.0 / 3600]
    return {**dict(wcs.to_header()), "BUNIT": "uJy"}


def write_galaxy(folder, index, *, side=SIDE):
    """Write the images of one galaxy: a disc of one population, with noise."""
    engine = PhotometryEngine(
        synthetic_ssp(),
        load_filters(list(BANDS.values())),
        redshift=REDSHIFT,
        settings=ModelConfig(ssp="synthetic"),
    )
    population = {"log_age": 0.7, "log_tau": 0.3, "logzsol": -0.2, "dust2": 0.3}
    flux = engine.flux({name: np.array([value]) for name, value in population.items()})[0]
    rng = np.random.default_rng(index)
    y, x = np.indices((side, side)) - (side - 1) / 2
    disc = np.exp(-np.hypot(y, x) / 4.0)
    for band, level in zip(BANDS, flux / flux.max(), strict=True):
        image = 100.0 * level * disc + rng.normal(size=disc.shape)
        write_image(folder / f"{band}.fits", image.astype("f4"), header(index, side))
        write_image(folder / f"{band}_err.fits", np.ones((side, side), "f4"), header(index, side))


def make_survey(root: Path, n_galaxy=3, **changes):
    """Write images, catalogue and settings; return the paths of the last two."""
    catalog = {"id": [], "ra": [], "dec": [], "redshift": []}
    for index in range(n_galaxy):
        name = f"g{index:02d}"
        write_galaxy(root / "images" / name, index)
        ra, dec = position(index)
        for key, value in zip(catalog, (name, ra, dec, REDSHIFT), strict=True):
            catalog[key].append(value)
    Table(catalog).write(root / "catalog.ecsv")
    (root / "survey.yaml").write_text(yaml.safe_dump(settings(**changes)))
    return root / "catalog.ecsv", root / "survey.yaml"


def settings(**changes):
    widths = {"g": 2.0, "r": 2.0, "i": 2.5}
    values = {
        "name": "mini",
        "bands": [
            {
                "name": band,
                "filter": curve,
                "image": "{data_root}/images/{id}/" + f"{band}.fits",
                "uncertainty": {"path": "{data_root}/images/{id}/" + f"{band}_err.fits"},
                "psf": {"fwhm": widths[band]},
            }
            for band, curve in BANDS.items()
        ],
        "binning": {"snr": 20.0, "min_diameter": 3.0},
        "models": {"ssp": "synthetic", "n_models": 512},
        "fit": {"block_size": 4},
    }
    return {**values, **changes}


def outputs(store):
    """Return the bytes of all published outputs of a run by their path."""
    return {
        str(path.relative_to(store)): path.read_bytes()
        for folder in ("galaxies", "models")
        for path in sorted((store / folder).rglob("*"))
        if path.is_file()
    }
