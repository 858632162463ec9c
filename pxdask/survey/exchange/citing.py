"""What a run stands on: the software, models, methods and surveys to cite, and why."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pxdask.core.errors import PxdaskError
from pxdask.core.provenance import package_versions
from pxdask.images.calibration import with_survey_defaults
from pxdask.io.filters import find_curve
from pxdask.io.provenance import read_provenance
from pxdask.survey.exchange.references import Reference, references
from pxdask.survey.products import MODELS
from pxdask.survey.seds.catalog_fit import CatalogRun

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from pxdask.core.bands import BandConfig, ImageConfig
    from pxdask.core.config import SurveyConfig
    from pxdask.core.fits import FitConfig
    from pxdask.core.models import ModelConfig
    from pxdask.survey.results import Run

_Reason = tuple[tuple[str, ...], str]
"""Keys of references, and what they are cited for."""

YEAR = "2026"
"""Of this version of pxdask."""

_SOFTWARE: tuple[tuple[str, str, str], ...] = (
    ("Harris2020", "numpy", "arrays"),
    ("Virtanen2020", "scipy", "numerical methods"),
    ("Lam2015", "numba", "compiled kernels"),
    ("Astropy2013", "astropy", "FITS, WCS, units, tables"),
    ("Astropy2018", "astropy", "FITS, WCS, units, tables"),
    ("Astropy2022", "astropy", "FITS, WCS, units, tables"),
    ("Hoyer2017", "xarray", "labelled data"),
    ("Zarr", "zarr", "files of results"),
    ("Rocklin2015", "", "tasks on many machines"),
    ("Hunter2007", "", "figures"),
    ("Reproject", "reproject", "images onto one grid"),
    ("Barbary2016", "sep", "detection of sources"),
    ("Bertin1996", "", "detection of sources"),
)
"""Reference, name in the versions of a run, and use of what every run is made with."""

_OF_IMAGES = {"images onto one grid", "detection of sources", "figures"}
"""Uses that a table of photometry is fitted without."""

_SURVEYS: Mapping[str, tuple[str, ...]] = {
    "galex": ("Martin2005", "Morrissey2007"),
    "sdss": ("York2000",),
    "2mass": ("Skrutskie2006", "Cohen2003"),
    "wise": ("Wright2010",),
    "irac": ("Werner2004", "Fazio2004"),
    "mips": ("Werner2004", "Rieke2004"),
    "pacs": ("Pilbratt2010", "Poglitsch2010"),
    "spire": ("Pilbratt2010", "Griffin2010"),
    "jwst": ("Gardner2023",),
    "nircam": ("Gardner2023", "Rieke2023"),
    "legacy": ("Dey2019",),
    "hsc": ("Aihara2018", "Aihara2019"),
    "kids": ("Kuijken2019",),
    "vircam": ("Sutherland2015",),
    "euclid": ("Mellier2025",),
}

_FILTERS: Mapping[str, str] = {
    r"galex[_-]": "galex",
    r"sdss(2010)?(noatm)?[_-]": "sdss",
    r"(2mass|twomass)[_-]": "2mass",
    r"wise(2010)?[_-]": "wise",
    r"spitzer_irac": "irac",
    r"spitzer_mips": "mips",
    r"herschel_pacs": "pacs",
    r"herschel_spire": "spire",
    r"jwst_(mod[ab]_)?f[0-4]\d\d[wmn]": "nircam",
    r"jwst_": "jwst",
    r"hsc(2017)?[_-]": "hsc",
    r"(vista_)?vircam_|vista_": "vircam",
    r"euclid[_-]": "euclid",
}
"""Surveys by how the names of their filters begin."""

_IFS: Mapping[str, tuple[str, ...]] = {
    "califa": ("Sanchez2012",),
    "manga": ("Bundy2015",),
    "muse": ("Bacon2010",),
    "sami": ("Croom2012",),
    "nirspec": ("Jakobsen2022", "Boker2022"),
}

_POPULATIONS: Mapping[str, tuple[str, ...]] = {
    "BC03": ("Bruzual2003",),
    "bagpipes": ("Carnall2018",),
    "python-fsps": ("Conroy2009", "Conroy2010", "Johnson2023"),
    "MIST": ("Dotter2016", "Choi2016"),
    "PARSEC": ("Bressan2012",),
    "Padova": ("Marigo2008",),
    "BaSTI": ("Pietrinferni2004",),
    "BPASS": ("Eldridge2017",),
    "MILES": ("SanchezBlazquez2006", "Falcon2011"),
    "BASEL": ("Lejeune1997",),
    "Chabrier": ("Chabrier2003",),
    "Kroupa": ("Kroupa2001",),
    "Salpeter": ("Salpeter1955",),
    "Renzini": ("Renzini1993",),
}
"""What an SSP product may say of its origin (library, imf, remnants, source)."""

_DUST = {
    "calzetti": ("Calzetti2000",),
    "charlot_fall": ("Charlot2000",),
    "kriek_conroy": ("Noll2009", "Kriek2013"),
}
_IGM = {"madau95": ("Madau1995",), "inoue14": ("Inoue2014",), "none": ()}
_SFH = {"continuity": ("Leja2019",), "dirichlet": ("Leja2017",)}
_LAWS = {
    "F99": "Fitzpatrick1999",
    "CCM89": "Cardelli1989",
    "O94": "ODonnell1994",
    "F19": "Fitzpatrick2019",
    "G23": "Gordon2023",
}
_DUST_MAPS = {"sfd": "Schlegel1998", "csfd": "Chiang2023", "planck": "Planck2014dust"}
_COSMOLOGIES = {
    "WMAP5": "Komatsu2009",
    "WMAP7": "Komatsu2011",
    "WMAP9": "Hinshaw2013",
    "Planck13": "Planck2014",
    "Planck15": "Planck2016",
    "Planck18": "Planck2020",
}


def bibliography(run: Run | CatalogRun) -> dict[Reference, str]:
    """Return what a run used, by its settings and what its outputs tell, and what for.

    Parameters
    ----------
    run : Run or CatalogRun
        A survey or a catalogue of photometry, however far it is.

    Returns
    -------
    found : dict of Reference to str
        pxdask first. Software has the version that the outputs were made with, or is here
        where nothing has been made.
    """
    versions = package_versions() if isinstance(run, CatalogRun) else _versions(run)
    own = {
        "author": "{The pxdask developers}",
        "title": "{pxdask: spatially resolved SED fitting of galaxies at survey scale}",
        "year": YEAR,
        "version": versions.get("pxdask", ""),
    }
    own = {name: value for name, value in own.items() if value}
    found = {Reference("pxdask", "software", own): "everything"}
    named = references()
    whys: dict[str, list[str]] = {}
    reasons = _table_reasons(run) if isinstance(run, CatalogRun) else _reasons(run)
    for keys, why in reasons:
        for key in keys:
            if why not in whys.setdefault(key, []):
                whys[key].append(why)
    packages = {key: name for key, name, _ in _SOFTWARE if name and not key.startswith("Astropy2")}
    packages |= {"Bradley2025": "photutils"}
    for key, told in whys.items():
        entry = named[key]
        if entry.kind == "misc" and (version := versions.get(packages.get(key, ""))):
            entry = replace(entry, fields={**entry.fields, "version": version})
        found[entry] = "; ".join(told)
    return found


def as_text(found: Mapping[Reference, str]) -> str:
    """Return references for people: each with what it is cited for."""
    return "\n".join(f"{entry.text()} [{why}]" for entry, why in found.items())


def _versions(run: Run) -> Mapping[str, str]:
    """Return the versions that outputs were made with, by package."""
    for galaxy in run.finished()[:1]:
        told = read_provenance(run.product_paths(galaxy)["maps"])
        return {str(name): str(value) for name, value in told.get("versions", {}).items()}
    return package_versions()


def _reasons(run: Run) -> Iterator[_Reason]:
    """Yield what a run used, in the order in which data flow."""
    config = run.config
    yield ("Abdurrouf2021",), "images, binning and fits follow piXedfit"
    bands = [_whole(band) for band in config.bands]
    yield from _surveys([(band.filter, band.survey) for band in bands])
    for key, _, use in _SOFTWARE:
        yield (key,), use
    yield from _curves([band.filter for band in bands])
    yield from _images(config.images, bands)
    if config.binning.method == "voronoi":
        yield ("Cappellari2003", "Cappellari2025"), "Voronoi bins"
    yield from _populations(run.store, config.models)
    yield from _models(config.models)
    yield from _fits(config.fit)
    yield from _further(config)


def _table_reasons(run: CatalogRun) -> Iterator[_Reason]:
    """Yield what the fit of a table used: no images, no figures."""
    config = run.config
    filters = [band.filter for band in config.bands]
    yield ("Abdurrouf2021",), "fits follow piXedfit"
    yield from _surveys([(name, None) for name in filters])
    for key, _, use in _SOFTWARE:
        if use not in _OF_IMAGES:
            yield (key,), use
    yield from _curves(filters)
    yield from _populations(run.folder, config.models)
    yield from _models(config.models)
    yield from _fits(config.fit)


def _whole(band: BandConfig) -> BandConfig:
    """Return a band with its survey's defaults, as far as there are any."""
    try:
        return with_survey_defaults(band)
    except PxdaskError:
        return band


def _surveys(bands: Sequence[tuple[str, str | None]]) -> Iterator[_Reason]:
    """Yield the surveys of bands, given as filter and survey, by either name."""
    for filter_, survey in bands:
        name = filter_.lower()
        of = next((known for start, known in _FILTERS.items() if re.match(start, name)), "")
        if survey is not None and (survey, of) != ("jwst", "nircam"):
            of = survey
        if keys := _SURVEYS.get(of):
            yield keys, f"bands of {'JWST NIRCam' if of == 'nircam' else of}"


def _curves(filters: Sequence[str]) -> Iterator[_Reason]:
    """Yield the packages that filter curves come from."""
    packages = {"sedpy": "Johnson2021", "speclite": "Speclite"}
    for name in filters:
        try:
            collection = find_curve(name).collection
        except PxdaskError:  # a template of the catalogue, or a curve that is gone
            continue
        if collection in packages:
            yield (packages[collection],), "filter curves"


def _images(images: ImageConfig, bands: Sequence[BandConfig]) -> Iterator[_Reason]:
    """Yield what image processing used."""
    if any(band.background is not None for band in bands):
        yield ("Bradley2025",), "levels of the sky"
    if images.match_psf and images.kernel_method == "regularised":
        yield ("Boucaud2016",), "regularised PSF kernels"
    elif images.match_psf and _windowed(images, bands):
        yield ("Bradley2025",), "PSF kernels"
        yield ("Aniano2011",), "matching of PSFs"
    if images.reproject == "adaptive":
        yield ("DeForest2004",), "adaptive resampling"
    if images.region.measured:
        yield ("Bradley2025", "Jedrzejewski1987"), "isophotes"
    if images.extinction is None:
        return
    yield (_LAWS[images.extinction.law], "Gordon2024"), "extinction by the Milky Way"
    if images.extinction.dust_map is not None:
        yield (_DUST_MAPS[images.extinction.dust_map], "Green2018"), "E(B-V) of the Milky Way"
    if images.extinction.dust_map == "sfd" or images.extinction.scale != 1:
        yield ("Schlafly2011",), "scale of E(B-V)"


def _windowed(images: ImageConfig, bands: Sequence[BandConfig]) -> bool:
    """Return whether kernels were made by the window method."""
    psfs = [band.psf for band in bands if band.psf is not None]
    images_of = [psf for psf in psfs if psf.fwhm is not None or psf.image is not None]
    if images.kernel_method == "window":
        return bool(images_of)
    return any(psf.image is not None or psf.shape != "gaussian" for psf in images_of)


def _populations(store: Path, models: ModelConfig) -> Iterator[_Reason]:
    """Yield what the stellar populations are made of, by what their product tells."""
    told = [_told(path) for path in sorted((store / MODELS).glob("ssp-*"))]
    if not told and models.ssp == "bc03":
        told = [{"library": "BC03, MILES", "imf": "Kroupa", "source": "bagpipes"}]
    for origin in told:
        names = ("library", "imf", "remnants", "source")
        text = " ".join(str(origin.get(name, "")) for name in names).lower()
        for word, keys in _POPULATIONS.items():
            if word.lower() in text:
                yield keys, "stellar populations"
        if models.nebular and "bagpipes" in text:
            yield ("Ferland2017",), "light of ionised gas"
        elif models.nebular and "fsps" in text and origin.get("nebular") != "none":
            yield ("Byler2017",), "light of ionised gas"


def _told(path: Path) -> Mapping[str, Any]:
    """Return what a product tells of its origin."""
    try:
        return read_provenance(path)
    except PxdaskError:
        return {}


def _models(models: ModelConfig) -> Iterator[_Reason]:
    """Yield what models were made with, besides populations."""
    if models.sfh in _SFH:
        yield _SFH[models.sfh], "star formation history"
    yield _DUST[models.dust], "attenuation by dust"
    if models.dust_emission:
        yield ("Draine2007",), "emission of dust"
    if models.agn:
        yield ("Nenkova2008a", "Nenkova2008b"), "torus of the AGN"
    yield _IGM[models.igm], "intergalactic absorption"
    if models.cosmology in _COSMOLOGIES:
        yield (_COSMOLOGIES[models.cosmology],), "cosmology"


def _fits(fit: FitConfig) -> Iterator[_Reason]:
    """Yield the methods of fitting."""
    methods: set[str] = {fit.method}
    if fit.method == "npe":
        yield ("Cranmer2020",), "neural posterior estimation"
        if fit.npe.network is None:
            yield ("Bradbury2018", "Optax"), "training of the network"
        methods.add(fit.npe.hand_over)
    if "mcmc" in methods:
        yield ("ForemanMackey2013", "Goodman2010"), "MCMC"
    if "nested" in methods:
        sampler = "Lange2023" if fit.nested.sampler == "nautilus" else "Speagle2020"
        yield (sampler, "Skilling2006"), "nested sampling"


def _further(config: SurveyConfig) -> Iterator[_Reason]:
    """Yield what only some surveys have: spectral cubes, morphology."""
    if config.ifs is not None:
        yield _IFS.get(config.ifs.kind, ()), f"spectra of {config.ifs.kind}"
        yield ("Balogh1999",), "Dn4000"
        yield ("Chabrier2003",), "SFR by H alpha"
    if config.morphology is not None:
        yield ("Sersic1963",), "profiles"
        yield ("Bradbury2018",), "fits of profiles"
        if config.morphology.engine == "pysersic":
            yield ("Pasha2023",), "fits of profiles"
        if config.morphology.posterior == "nuts":
            yield ("Cabezas2024",), "sampling of profiles"
