"""The page for users of piXedfit: it names every function, what it names exists, its code runs."""

import re
from importlib import import_module
from typing import get_args

import numpy as np
import pytest
import typer
from pydantic import BaseModel

from pxdask.cli.app import app
from pxdask.core.config import SurveyConfig
from pxdask.io.pixedfit_bins import read_pixedfit_bins
from pxdask.io.pixedfit_fluxmap import write_pixedfit_fluxmap
from pxdask.io.pixedfit_maps import read_pixedfit_maps
from pxdask.survey.looking.plotting import KINDS
from pxdask.testing import fake_galaxy
from tests.paths import REPOSITORY

PAGE = (REPOSITORY / "docs" / "from-pixedfit.md").read_text()

_THEIRS = """
EBV_foreground_dust calc_pixsize central_brightest_pixel convert_flux_unit
create_psf_matching_kernel crop_stars_galregion_fits draw_aperture_on_maps_fluxes
get_pixels_SED_fluxmap get_total_SED images_processing images_processing.flux_map
images_processing.galaxy_region images_processing.get_output_stamps
images_processing.plot_gal_region images_processing.plot_image_stamps
images_processing.plot_segm_maps images_processing.rectangular_regions
images_processing.reduced_stamps images_processing.segmentation_sep kpc_per_pixel
open_fluxmap_fits photometry_within_aperture plot_SED_pixels plot_SNR_radial_profile
plot_maps_fluxes radial_profile_psf subtract_background test_psfmatching_kernel var_img_2MASS
var_img_GALEX var_img_WISE var_img_from_unc_img var_img_from_weight_img var_img_sdss
match_imgifs_spatial match_imgifs_spectral get_bins_SED_binmap open_binmap_fits pixel_binning
pixel_binning_images plot_binmap plot_bins_SED plot_bins_SNR_radial_profile
generate_modelSED_photo generate_modelSED_spec save_models_photo save_models_rest_spec
SEDfit_from_binmap get_bestfit_params maps_parameters priors priors.arbitrary priors.gamma
priors.gaussian priors.joint_with_mass priors.params_ranges priors.studentt priors.uniform
singleSEDfit plot_SED plot_corner plot_sfh_mcmc add_filter change_filter_name cwave_filters
filtering get_filter_curve list_filters remove_filter
"""
THEIRS = _THEIRS.split()
"""Names in the documentation of piXedfit 1.0, sections 1.16 to 1.22."""


def rows(title):
    """Return the cells of the table under a title."""
    part = PAGE.split(f"## {title}")[1].split("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def spans(cell):
    return re.findall(r"`([^`]+)`", cell)


MAPPED = {
    name: spans(cells[1]) for cells in rows("Every function, and ours") for name in spans(cells[0])
}
FILES = [name for cells in rows("Its files") for cell in cells[1:] for name in spans(cell)]


def test_no_function_is_left_out():
    assert sorted(MAPPED) == sorted(THEIRS)
    assert all(MAPPED.values())


def is_python(name):
    words = name.split(".")
    for n in range(len(words), 0, -1):
        try:
            found = import_module(".".join(words[:n]))
        except ModuleNotFoundError:
            continue
        for word in words[n:]:
            if not hasattr(found, word):
                return False
            found = getattr(found, word)
        return True
    return False


def is_command(words):
    command = typer.main.get_command(app)
    while words and hasattr(command, "commands"):
        if words[0] not in command.commands:
            return False
        command = command.commands[words[0]]
        words = words[1:]
    if command.name == "plot" and words:
        return words[-1] in KINDS
    return not words


def is_setting(name, model=SurveyConfig):
    first, _, rest = name.partition(".")
    if first not in model.model_fields:
        return False
    if not rest:
        return True
    kinds = [model.model_fields[first].annotation]
    while kinds:
        kind = kinds.pop()
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return is_setting(rest, kind)
        kinds += get_args(kind)
    return False


@pytest.mark.parametrize("name", sorted({*FILES, *(n for own in MAPPED.values() for n in own)}))
def test_what_is_named_exists(name):
    if name.startswith("pxdask."):
        assert is_python(name), name
    elif name.startswith("pxdask "):
        assert is_command(name.split()[1:]), name
    else:
        assert is_setting(name), name


def test_what_does_not_exist_would_be_seen():
    assert not is_python("pxdask.fit_everything")
    assert not is_python("pxdask.images.psf.kernel_of")
    assert not is_command(["psf", "make"])
    assert not is_command(["plot", "RUN", "GALAXY", "everything"])
    assert not is_setting("bands.uncertainty.type")


def test_its_code_runs(tmp_path, monkeypatch):
    """Our half of the example, as it stands, on a fluxmap of a mock galaxy."""
    galaxy = fake_galaxy(rng=np.random.default_rng(2), n_model=2, n_pixel=20)
    filters = ["galex_fuv", "sdss_u", "sdss_z", "2mass_k", "wise_w2"]  # near the mock's bands
    write_pixedfit_fluxmap(
        tmp_path / "fluxmap.fits", galaxy.cube, galaxy=galaxy.row, filters=filters
    )
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    ours = [block for block in blocks if not block.startswith("# piXedfit")]
    assert (len(blocks), len(ours)) == (3, 2)
    scope = {}
    for block in ours:
        exec(compile(block, "from-pixedfit.md", "exec"), scope)  # noqa: S102  the page's own code
    maps = read_pixedfit_maps(tmp_path / "maps.fits")
    bins = read_pixedfit_bins(tmp_path / "pixbin.fits").bins
    assert maps.header["nbins"] == bins.sizes["bin"] > 1
    assert maps.header["fil1"] == "sdss_u"
    mass = scope["maps"]["log_mass"].sel(quantile=0.5).values
    np.testing.assert_allclose(maps.pixels["log_mass"]["p50"], mass, rtol=1e-6)
    # the SEDs of the file are those that were fitted, in single precision
    first, again = (scope[name].fit["log_mass"].values for name in ("posterior", "again"))
    np.testing.assert_allclose(first, again, atol=0.02)
