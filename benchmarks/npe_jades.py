"""Three real galaxies, pixel by pixel, by a network and by a library of models.

``python -m benchmarks.npe_jades [mocks [folder]]`` trains a network for the pixels of three JADES
galaxies, fits them by it and by RDSPS, and writes docs/npe-jades.md and its figure; data are found
as `tests.paths.real_data` does. Runs and the network are kept in the folder, and taken from it;
without it, it takes a quarter of an hour on two cores. Not one of the timed benchmarks.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.io import fits
from scipy.ndimage import binary_dilation

import pxdask
from benchmarks.harness import machine
from benchmarks.npe_jades_tables import (
    agreement_table,
    figure_of,
    image_table,
    offset_table,
    save,
    sum_table,
    time_table,
    whole_table,
)
from pxdask.cli.npe import train
from pxdask.core.config import BinConfig, SurveyConfig
from pxdask.fitting.integrated import integrated_sed
from pxdask.fitting.seds import Seds
from pxdask.fitting.stage import prepared
from pxdask.images.noise import aperture_variance
from pxdask.io.filters import load_filters
from pxdask.sps.libraries import make_library
from pxdask.survey.networks.calibrate import noise_of_run
from pxdask.survey.products import ssp_dataset
from tests.paths import REPOSITORY, real_data

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

DOCS = Path(__file__).parent.parent / "docs"
CATALOG, CONFIG = (REPOSITORY / "catalogs" / f"jades-jof.{kind}" for kind in ("ecsv", "yaml"))
N_MOCKS = 4_000_000
SNR = (1.0, 5000.0)
"""S/N of mocks in their best band: that of whole galaxies is 950, of pixels 600 at most."""

REFERENCE = "f277w"
MOVED = ("f250m", "f300m", "f335m", "f356w", "f410m", "f444w")
"""Bands that are laid upon `REFERENCE`; bluer ones may see other stars where they seem to lie."""

SKY_DISTANCE = 4
"""Pixels from a galaxy beyond which there is sky."""

METHODS: dict[str, dict[str, Any]] = {
    "RDSPS": {"method": "rdsps"},
    "network alone": {"method": "npe", "reweight": False},
    "re-weighted": {"method": "npe"},
}
IMAGES = ("as delivered", "registered")
"""Images of which pixels are fitted by the network too."""

Runs = dict[str, dict[str, pxdask.Run]]
"""Runs by images and by method."""


@dataclass(frozen=True)
class Whole:
    """Posterior quantiles (sed, quantile) of a galaxy's whole light, and chi-square (sed,).

    The SEDs are: errors in quadrature; without F435W; errors grown by the noise's correlation.
    """

    fit: xr.Dataset
    growth: Floats


def settings(method: str, **npe: Any) -> SurveyConfig:  # noqa: ANN401  fields of NpeConfig
    """Return the survey's settings, with a pixel for a bin."""
    base = SurveyConfig.load(CONFIG)
    own = base.fit.npe.model_copy(update={"snr": SNR, **npe})
    fit = base.fit.model_copy(update={"method": method, "integrated": True, "npe": own})
    return base.model_copy(update={"binning": BinConfig(method="pixels"), "fit": fit})


def carried_out(config: SurveyConfig, store: Path, *, root: Path) -> pxdask.Run:
    """Return a run, finished in this process."""
    run = pxdask.submit(CATALOG, config, store, root=root, serial=True, progress=False, update=True)
    if len(failures := run.failures()):
        sys.exit(f"{store}: {len(failures)} tasks failed, the first by {failures['error'][0]}")
    return run


def network_of(run: pxdask.Run, folder: Path, *, n_mocks: int) -> dict[str, Any]:
    """Return settings of a network for the pixels of a run, trained if it is not there."""
    noise, path = folder / "noise.json", folder / f"network-{n_mocks}.zarr.zip"
    if not path.exists():
        noise.write_text(noise_of_run(run, of="pixels")[0].to_json(), encoding="utf-8")
        config = folder / "train.yaml"
        text = settings("npe", noise=str(noise)).dump()
        config.write_text(text, encoding="utf-8")
        train(config, CATALOG, path=path, n_mocks=n_mocks, data_root=Path(run.data_root))
    return {"noise": str(noise), "network": str(path)}


# images made otherwise


def offsets(run: pxdask.Run, galaxy: str) -> dict[str, Floats]:
    """Return how far bands lie from the reference (x, y), after matching [pix].

    By least squares of an image as a multiple of the reference's and of its gradients.
    """
    cube, inside = run.dataset(galaxy, "cube"), run.dataset(galaxy, "bins")["bin_map"].values >= 0
    image = {str(name): cube["flux"].sel(band=name).values for name in cube["band"].values}
    reference = image[REFERENCE]
    along_y, along_x = np.gradient(reference)
    terms = np.stack([reference[inside], -along_x[inside], -along_y[inside]], axis=1)
    found = {}
    for name in MOVED:
        factor, x, y = np.linalg.lstsq(terms, image[name][inside], rcond=None)[0]
        found[name] = np.array([x, y]) / factor
    return found


def sky_scatter(run: pxdask.Run, galaxy: str) -> dict[str, float]:
    """Return the scatter of the sky over the errors given, from below, where sources add none."""
    cube, bins = run.dataset(galaxy, "cube"), run.dataset(galaxy, "bins")
    sky = ~binary_dilation(bins["bin_map"].values >= 0, iterations=SKY_DISTANCE)
    pull = cube["flux"].values[:, sky] / cube["flux_err"].values[:, sky]
    low, middle = np.nanquantile(pull, (0.16, 0.5), axis=1)
    return dict(zip(map(str, cube["band"].values), (middle - low).tolist(), strict=True))


def changed(run: pxdask.Run, folder: Path, *, root: Path, kind: str) -> Path:
    """Return a folder of images that are registered, or whose errors are those of the sky."""
    moves = {galaxy: offsets(run, galaxy) for galaxy in run.galaxies}
    factors = {galaxy: sky_scatter(run, galaxy) for galaxy in run.galaxies}
    for path in root.rglob("*.fits"):
        copy = folder / path.relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        name, _, what = path.stem.rpartition("_")
        if name not in factors.get(path.parent.name, ()):
            copy.write_bytes(path.read_bytes())
            continue
        with fits.open(path) as hdus:
            values, header = hdus[0].data, hdus[0].header
        if kind == "registered":
            x, y = moves[path.parent.name].get(name, np.zeros(2))
            header["CRPIX1"] += x
            header["CRPIX2"] += y
        elif what == "err":
            values = values * np.float32(factors[path.parent.name][name])
        fits.PrimaryHDU(values, header).writeto(copy, overwrite=True)
    return folder


def whole_light(run: pxdask.Run, galaxy: str) -> Whole:
    """Return what a galaxy's whole light tells with errors of three kinds, by RDSPS."""
    bins, cube, config = run.dataset(galaxy, "bins"), run.dataset(galaxy, "cube"), run.config
    curves = tuple(load_filters([band.filter for band in config.bands]))
    redshift = float(str(run.row(galaxy)["redshift"]))
    models = make_library(
        ssp_dataset(config.models.ssp), curves, settings=config.models, redshift=redshift, seed=1
    )
    error = bins["flux_err"].values
    flux, total = integrated_sed(bins["flux"].values, error)
    grown = np.sqrt(
        [
            aperture_variance(column**2, noise_area=area)
            for column, area in zip(error.T, cube["noise_area"].values, strict=True)
        ]
    )
    without = np.where(np.arange(total.size) == 0, np.nan, total)
    errors = np.stack([total, without, grown])
    keys = tuple((galaxy, kind) for kind in ("quadrature", "without", "grown"))
    fit = prepared(config.fit, models).fit(Seds(np.tile(flux, (3, 1)), errors, keys=keys))
    return Whole(fit, grown / total)


# page

COMMENT = """\
By re-weighted draws the network finds what RDSPS does, also of pixels that no model fits well.
The pixels have three redshifts only, for each of which a library is made once and shared by all its
pixels: so RDSPS costs less here, and a network is worth its training where each galaxy has a
redshift of its own, or posteriors of many parameters are wanted.

Two pixels of five of jof_370 and jof_801 are called odd, and rightly: bands do not lie upon one
another. F335M of jof_370 is 1.8 pixels (0.055 arcsec) from F277W; in the images as delivered it is
2.3 pixels from F356W, whose wavelengths include its own, so that no gradient of colours explains
it. Residuals of pixels are dipoles. With the six long-wave bands moved onto F277W, median
chi-squares fall from 34 to 14-15, as 14 bands of NIRCam should have (those of ACS hardly count:
their errors are seven to ten times too large), and 0.2 to 7 % of the pixels are called odd, where
4 % are false alarms. Errors of the sky's true scatter, four to seven times as large in matched
images of F250M, F300M and F335M, do not help: ten per cent of the flux is more where pixels are
bright, and the bands of ACS then count too. The network alone is off by up to 0.2 sigma where no
model fits, by up to 0.1 in registered images.

The whole light's S/N is 950 in its best band. A network trained as by default, with S/N up to 200,
is not made for that: train one with `fit.npe.snr` as wide as the data, as here, or let such SEDs be
handed over to RDSPS, as they are where draws count for too little.

Pixels hold more mass than the whole light of jof_370, by 0.08 dex and in registered images by 0.13,
with an error of 0.09, as outshining would have it; for the other two it is 0.01 to 0.07, with an
error of 0.09 to 0.11. Errors of the whole light know that the noise of matched images is correlated
over 10 to 40 pixels. Were those of pixels added in quadrature, F435W of jof_370 would be below zero
by 15 sigma, a chi-square of 150, A_V 0.90 instead of 0.64, and jof_801 would differ by 0.09 dex
instead of 0.02, which would be taken for outshining."""
"""What the figures tell."""


def page(runs: Runs, sky: pxdask.Run, wholes: Mapping[str, Whole], *, n_mocks: int) -> str:
    """Return the page."""
    delivered = runs[IMAGES[0]]
    n_models = delivered["RDSPS"].config.models.n_models
    growth = np.mean([whole.growth for whole in wholes.values()], axis=0)
    controls = {
        IMAGES[0]: delivered["RDSPS"],
        "errors as the sky scatters": sky,
        IMAGES[1]: runs[IMAGES[1]]["RDSPS"],
    }
    parts = [
        "# Three real galaxies, pixel by pixel",
        (
            f"Made by `python -m benchmarks.npe_jades {n_mocks}` on {machine()}: the galaxies of"
            " catalogs/jades-jof.ecsv with the settings beside it, but each pixel a bin. One"
            f" network for all, trained with {n_mocks:,} mocks of their redshifts, with the noise"
            f" of their pixels and S/N up to {SNR[1]:g}, beside RDSPS of {n_models:,} models."
        ),
        COMMENT,
        "![maps](npe-jades.jpg)",
        "## The network and RDSPS",
        (
            "Differences of posterior medians: their median and half of their central 68 %, and the"
            " same in units of RDSPS's error, of the pixels that were not handed over. Odd:"
            " flagged OUT_OF_DISTRIBUTION. Width: of intervals of log mass, over RDSPS's."
        ),
        agreement_table(runs),
        "CPU time of a pixel [ms], of the images as delivered:",
        time_table(delivered),
        "## Sums of pixels and whole light",
        (
            "Columns of `pxdask collect`: log10 of the sum of the pixels' masses, of the mass of"
            " the whole light, and their difference [dex]."
        ),
        sum_table(runs),
        (
            "The whole light with errors of three kinds, by RDSPS. The correlation of the noise"
            f" makes the errors {growth.min():.1f} to {growth.max():.1f} times those in quadrature."
        ),
        whole_table(wholes),
        "## The images",
        f"Distance of bands from {REFERENCE.upper()} after matching, x and y [pix of 0.03 arcsec]:",
        offset_table({name: offsets(delivered["RDSPS"], name) for name in wholes}),
        "What RDSPS finds, in other images:",
        image_table(controls),
    ]
    return "\n\n".join(parts) + "\n"


def main(n_mocks: int, folder: Path) -> None:
    """Make the page and its figure."""
    root, folder = Path(str(real_data("jades"))), folder.resolve()  # type: ignore[no-untyped-call]
    first = carried_out(settings("rdsps"), folder / "as-delivered-RDSPS", root=root)
    network = network_of(first, folder, n_mocks=n_mocks)
    roots = {
        IMAGES[0]: root,
        IMAGES[1]: changed(first, folder / "registered", root=root, kind="registered"),
    }
    runs: Runs = {}
    for images, own_root in roots.items():
        runs[images] = {}
        for method, choice in METHODS.items():
            more = network if choice["method"] == "npe" else {}
            store = folder / f"{images}-{method}".replace(" ", "-")
            runs[images][method] = carried_out(settings(**choice, **more), store, root=own_root)
    sky_root = changed(first, folder / "sky", root=root, kind="sky")
    sky = carried_out(settings("rdsps"), folder / "sky-rdsps", root=sky_root)
    wholes = {galaxy: whole_light(first, galaxy) for galaxy in first.galaxies}
    delivered = runs[IMAGES[0]]
    save(figure_of(delivered["RDSPS"], delivered["re-weighted"]), DOCS / "npe-jades.jpg")
    text = page(runs, sky, wholes, n_mocks=n_mocks)
    (DOCS / "npe-jades.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    with TemporaryDirectory(prefix="pxdask-") as scratch:
        main(
            int(sys.argv[1]) if sys.argv[1:] else N_MOCKS,
            Path(sys.argv[2]) if sys.argv[2:] else Path(scratch),
        )
