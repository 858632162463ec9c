"""Only what a run used is cited, and all of it."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pxdask.cli.app import app
from pxdask.core.catalogs import CatalogConfig
from pxdask.core.config import SurveyConfig
from pxdask.io.stores import publish
from pxdask.sps import synthetic_ssp
from pxdask.survey.exchange.citing import _FILTERS, _SOFTWARE, _SURVEYS, as_text, bibliography
from pxdask.survey.exchange.references import bibtex, references
from pxdask.survey.results import open_run
from pxdask.survey.seds.catalog_fit import CatalogRun
from tests.survey.mini import make_survey, settings


@dataclass(frozen=True)
class Begun:
    """A run that has made nothing yet."""

    store: Path
    config: SurveyConfig

    def finished(self):
        return []


def keys(tmp_path, **changes):
    """Return the keys cited by a run of the mini survey with other settings."""
    run = Begun(tmp_path, SurveyConfig.parse(settings(**changes)))
    return {entry.key for entry in bibliography(run)}


def added(tmp_path, **changes):
    return keys(tmp_path, **changes) - keys(tmp_path)


def band(filter_name, **more):
    return {
        "name": filter_name.replace("-", "_"), "filter": filter_name, "image": "i.fits",
        "uncertainty": {"path": "e.fits"}, "psf": {"fwhm": 1.0}, **more,
    }  # fmt: skip


MODELS = {"ssp": "synthetic"}


def test_the_simplest_run(tmp_path):
    always = {key for key, _, _ in _SOFTWARE}
    method = {"pxdask", "Abdurrouf2021", "Calzetti2000", "Madau1995"}
    assert keys(tmp_path) == always | method | {"York2000", "Johnson2021"}


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"models": {**MODELS, "dust": "charlot_fall"}}, {"Charlot2000"}),
        ({"models": {**MODELS, "dust": "kriek_conroy"}}, {"Noll2009", "Kriek2013"}),
        ({"models": {**MODELS, "igm": "inoue14"}}, {"Inoue2014"}),
        ({"models": {**MODELS, "dust_emission": True}}, {"Draine2007"}),
        ({"models": {**MODELS, "agn": True}}, {"Nenkova2008a", "Nenkova2008b"}),
        ({"models": {**MODELS, "sfh": "continuity"}}, {"Leja2019"}),
        ({"models": {**MODELS, "sfh": "dirichlet"}}, {"Leja2017"}),
        ({"models": {**MODELS, "cosmology": "Planck18"}}, {"Planck2020"}),
        ({"fit": {"method": "mcmc"}}, {"ForemanMackey2013", "Goodman2010"}),
        ({"fit": {"method": "nested"}}, {"Lange2023", "Skilling2006"}),
        (
            {"fit": {"method": "nested", "nested": {"sampler": "dynesty"}}},
            {"Speagle2020", "Skilling2006"},
        ),
        ({"fit": {"method": "npe"}}, {"Cranmer2020", "Bradbury2018", "Optax"}),
        ({"fit": {"method": "npe", "npe": {"network": "n.zarr.zip"}}}, {"Cranmer2020"}),
        ({"binning": {"method": "voronoi"}}, {"Cappellari2003", "Cappellari2025"}),
        ({"images": {"extinction": {}}}, {"Fitzpatrick1999", "Gordon2024"}),
        (
            {"images": {"extinction": {"dust_map": "csfd", "law": "G23"}}},
            {"Gordon2023", "Gordon2024", "Chiang2023", "Green2018"},
        ),
        (
            {"images": {"extinction": {"scale": 0.86, "law": "CCM89"}}},
            {"Cardelli1989", "Gordon2024", "Schlafly2011"},
        ),
        ({"images": {"reproject": "adaptive"}}, {"DeForest2004"}),
        ({"images": {"kernel_method": "regularised"}}, {"Boucaud2016"}),
        ({"images": {"kernel_method": "window"}}, {"Bradley2025", "Aniano2011"}),
        (
            {"images": {"region": {"kind": "ellipse", "measured": True}}},
            {"Bradley2025", "Jedrzejewski1987"},
        ),
        ({"ifs": {"path": "c.fits", "kind": "manga"}}, {"Bundy2015", "Balogh1999", "Chabrier2003"}),
        ({"morphology": {}}, {"Sersic1963", "Bradbury2018"}),
        (
            {"morphology": {"engine": "pysersic", "posterior": "nuts"}},
            {"Sersic1963", "Bradbury2018", "Pasha2023", "Cabezas2024"},
        ),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else " ".join(sorted(value)),
)
def test_what_settings_add(tmp_path, changes, wanted):
    assert added(tmp_path, **changes) == wanted


def test_other_laws_take_the_place_of_the_default(tmp_path):
    assert "Calzetti2000" not in keys(tmp_path, models={**MODELS, "dust": "charlot_fall"})
    assert "Madau1995" not in keys(tmp_path, models={**MODELS, "igm": "none"})


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("jwst_f200w", {"Gardner2023", "Rieke2023"}),
        ("jwst_f770w", {"Gardner2023"}),
        ("spitzer_irac_ch1", {"Werner2004", "Fazio2004"}),
        ("herschel_spire_250", {"Pilbratt2010", "Griffin2010"}),
        ("2mass_j", {"Skrutskie2006", "Cohen2003"}),
        ("decam_g", set()),  # one camera, many surveys
        ("acs_wfc_f814w", set()),
    ],
)
def test_surveys_by_their_filters(tmp_path, name, wanted):
    assert keys(tmp_path, bands=[band(name)]) - keys(tmp_path) == wanted


def test_surveys_by_their_names(tmp_path):
    found = keys(tmp_path, bands=[band("decam_g", survey="legacy")])
    assert "Dey2019" in found
    assert "York2000" not in found
    nircam = keys(tmp_path, bands=[band("jwst_f200w", survey="jwst")])
    assert {"Gardner2023", "Rieke2023"} <= nircam


def test_curves_are_cited_where_they_come_from(tmp_path):
    found = keys(tmp_path, bands=[band("Euclid-VIS")])
    assert {"Speclite", "Mellier2025"} <= found
    assert "Johnson2021" not in found


def product(folder, **origin):
    ds = synthetic_ssp()
    ds.attrs.update(origin)
    (folder / "models").mkdir(exist_ok=True)
    publish(ds, folder / "models" / "ssp-0.zarr.zip")


def test_populations_by_what_their_product_tells(tmp_path):
    product(
        tmp_path, library="MIST, MILES, DL07", imf="Chabrier (2003)",
        remnants="as FSPS: Renzini & Ciotti (1993)", nebular="Cloudy tables of FSPS",
        source="python-fsps, extracted by pxdask",
    )  # fmt: skip
    wanted = {"Conroy2009", "Conroy2010", "Johnson2023", "Dotter2016", "Choi2016", "Byler2017"}
    wanted |= {"SanchezBlazquez2006", "Falcon2011", "Chabrier2003", "Renzini1993"}
    assert keys(tmp_path) >= wanted
    assert "Bruzual2003" not in keys(tmp_path)
    assert "Byler2017" not in keys(tmp_path, models={"ssp": "x", "nebular": False})


def test_bc03_before_anything_is_made(tmp_path):
    found = keys(tmp_path, models={"ssp": "bc03"})
    assert {"Bruzual2003", "Carnall2018", "Kroupa2001", "Ferland2017"} <= found


def test_every_reference_can_be_reached():
    """None is in the file in vain; each is named in the module."""
    module = Path(bibliography.__code__.co_filename).read_text(encoding="utf-8")
    assert not [key for key in references() if f'"{key}"' not in module]
    assert set(_FILTERS.values()) <= set(_SURVEYS)


def test_a_table_of_photometry_needs_no_images(tmp_path):
    bands = {"r": "sdss_r", "w1": "wise_w1"}
    config = CatalogConfig.parse({"bands": bands, "models": MODELS, "fit": {"method": "mcmc"}})
    found = {entry.key for entry in bibliography(CatalogRun(tmp_path, config, ()))}
    assert {"York2000", "Wright2010", "Johnson2021", "ForemanMackey2013", "Zarr"} <= found
    assert not {"Reproject", "Barbary2016", "Bertin1996", "Hunter2007"} & found


def test_the_command_with_versions_of_the_run(tmp_path):
    catalog, config = make_survey(tmp_path, 1)
    store = tmp_path / "run"
    words = ["run", catalog, config, "--store", store, "--data-root", tmp_path, "--serial"]
    assert CliRunner().invoke(app, [str(word) for word in words]).exit_code == 0
    result = CliRunner().invoke(app, ["cite", str(store)])
    assert result.exit_code == 0
    found = bibliography(open_run(store))
    assert result.stdout == bibtex(found) + "\n"
    assert result.stdout.startswith("@software{pxdask,\n")
    version = next(entry for entry in found if entry.key == "Reproject").fields["version"]
    import reproject

    assert version == reproject.__version__
    text = CliRunner().invoke(app, ["cite", str(store), "--text"]).stdout
    assert text == as_text(found) + "\n"
    assert "[attenuation by dust]" in text
