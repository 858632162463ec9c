"""Every kind of figure from real runs; what a galaxy lacks is said, with what would keep it."""

import numpy as np
import pytest
from matplotlib import pyplot as plt
from typer.testing import CliRunner

import pxdask
from pxdask.cli.app import app
from pxdask.core.errors import ConfigError, DataError
from pxdask.survey.looking.plotting import (
    KINDS,
    Choice,
    brightest_bin,
    data_of,
    draw,
    draw_of,
    undrawable,
)
from tests.plots.galaxy import drawn, images, labels
from tests.plots.test_morphology import profiles
from tests.survey import test_ifs_survey as spectral
from tests.survey.mini import BANDS, make_survey

SAMPLED = ("corner", "sfh")
SPECTRAL = ("spectrum", "lines")
ALWAYS = tuple(kind for kind in KINDS if kind not in (*SAMPLED, *SPECTRAL, "morphology"))
UNITS = {
    "summary": "arcsec",
    "rgb": "arcsec",
    "flux": r"$\mu$Jy pix$^{-1}$",
    "snr": "arcsec",
    "profiles": r"$\mu$Jy arcsec$^{-2}$",
    "kernel": "arcsec",
    "bins": "arcsec",
    "pixels": r"$\mu$Jy pix$^{-1}$",
    "seds": r"$\mu$Jy arcsec$^{-2}$",
    "sed": r"$\mu$Jy",
    "maps": r"\mathrm{mag}",
    "radial": "kpc",
    "main-sequence": r"kpc^{-2}",
}


@pytest.fixture(scope="module")
def plain(finished_run):
    return data_of(finished_run, "g01")


@pytest.fixture(scope="module")
def sampled(tmp_path_factory):
    root = tmp_path_factory.mktemp("sampled")
    catalog, config = make_survey(
        root, n_galaxy=1, fit={"block_size": 4, "n_samples": 200, "systematic_error": 0.1}
    )
    run = pxdask.submit(catalog, config, root / "run", root=root, serial=True, progress=False)
    return data_of(run, "g00")


@pytest.mark.parametrize("kind", ALWAYS)
def test_every_kind_is_drawn_of_a_plain_run(plain, kind):
    before = plt.get_fignums()
    figure = draw_of(plain, kind)
    text = labels(figure)
    assert text.startswith("g01,   z = 0.05")
    assert UNITS[kind] in text
    assert np.unique(np.frombuffer(drawn(figure), np.uint32)).size > 50  # more than a blank page
    assert plt.get_fignums() == before


def test_the_table_of_units_is_of_all_kinds():
    assert set(UNITS) == set(ALWAYS)


def test_what_is_drawn_is_of_the_run(plain):
    flux = images(draw_of(plain, "flux", Choice(band="r")))
    assert len(flux) == 1
    cube = plain.cube["flux"].sel(band="r").values
    assert set(flux[0][np.isfinite(flux[0])]) <= set(cube[np.isfinite(cube)].astype(float))
    number = brightest_bin(plain)
    density = plain.bins["flux"].values / plain.bins["n_pix"].values[:, None]
    axes = draw_of(plain, "sed").axes[0]
    (observed,) = [bars[0] for bars in axes.containers if bars.get_label() == "observed"]
    np.testing.assert_allclose(observed.get_ydata(), plain.bins["flux"].values[number])
    fitted = plain.fit["flags"].values == 0
    assert density[number, 0] == density[fitted, 0].max()


@pytest.mark.parametrize("kind", SAMPLED)
def test_samples_give_corner_and_history(sampled, kind):
    assert kind not in undrawable(sampled)
    figure = draw_of(sampled, kind, Choice(bin=1, n_draw=30))
    assert labels(figure).startswith("g00,   z = 0.05,   bin 1")
    drawn(figure)


def test_samples_give_quantiles_and_spectra(sampled):
    median = draw_of(sampled, "corner", Choice(bin=1, names=("log_mass",))).axes[0].lines[1]
    samples = sampled.fit["log_mass_samples"].values[1].astype(float)
    assert median.get_xdata()[0] == pytest.approx(np.median(samples), rel=1e-6)
    figure = draw_of(sampled, "sed", Choice(bin=1, n_draw=10))
    names = [line.get_label() for line in figure.axes[0].lines]
    assert {"stars", "gas", "without dust"} <= set(names)


@pytest.mark.parametrize(
    ("kind", "setting"),
    [
        ("corner", r"fit: \{n_samples: 300\}"),
        ("sfh", r"fit: \{n_samples: 300\}"),
        ("spectrum", "`ifs`"),
        ("lines", "`ifs`"),
        ("morphology", "morphology: {}"),
    ],
)
def test_what_is_missing_is_said_with_the_setting_that_keeps_it(plain, kind, setting):
    with pytest.raises(DataError, match=rf"galaxy 'g01': .*{setting}"):
        draw_of(plain, kind)
    assert kind in undrawable(plain)
    assert set(undrawable(plain)) == {*SAMPLED, *SPECTRAL, "morphology"}


def test_profiles_of_maps_are_told_where_they_would_come_from(plain):
    assert "radial: {}" in plain.missing("radial")


def test_what_is_not_made_yet_is_said(tmp_path):
    """A galaxy whose maps failed has figures of what came before, and says so of the others."""
    catalog, config = make_survey(tmp_path, n_galaxy=1)
    for path in (tmp_path / "images" / "g00").iterdir():
        path.write_bytes(b"")
    run = pxdask.submit(
        catalog, config, tmp_path / "run", root=tmp_path, serial=True, progress=False, check=False
    )
    data = data_of(run, "g00")
    with pytest.raises(DataError, match=r"no maps .*it has not been made"):
        draw_of(data, "maps")
    assert set(undrawable(data)) == set(KINDS)


def test_errors_name_what_there_is(plain, finished_run):
    with pytest.raises(ConfigError, match="no kind 'nose' of figure; wanted summary, rgb"):
        draw(finished_run, "g01", "nose")
    with pytest.raises(ConfigError, match=r"has no bin 999; wanted 0 to"):
        draw(finished_run, "g01", "sed", bin=999)
    with pytest.raises(ConfigError, match="has no band 'u'; wanted g, r, i"):
        draw(finished_run, "g01", "flux", band="u")
    with pytest.raises(ConfigError, match=r"has no pixel \(y, x\) = \(0, 99\)"):
        draw(finished_run, "g01", "pixels", pixel=(0, 99))
    with pytest.raises(ConfigError, match=r"pixel \(y, x\) = \(0, 0\) is in no bin"):
        draw(finished_run, "g01", "pixels", pixel=(0, 0))
    with pytest.raises(ConfigError, match="no option 'colour'; wanted pixel, names, n_draw"):
        draw(finished_run, "g01", "flux", colour="red")
    with pytest.raises(ConfigError, match="'nobody' is not in the catalogue"):
        draw(finished_run, "nobody", "flux")
    with pytest.raises(DataError, match="band 'i' is the target"):
        draw_of(plain, "kernel", Choice(band="i"))


def test_a_pixel_names_its_bin(plain):
    y, x = (int(i[-1]) for i in np.nonzero(plain.bins["bin_map"].values >= 0))
    number = int(plain.bins["bin_map"].values[y, x])
    assert f"bin {number}" in draw_of(plain, "sed", Choice(pixel=(y, x))).get_suptitle()


def test_runs_draw_themselves(finished_run):
    assert finished_run.plot("g00").get_suptitle() == "g00,   z = 0.05"
    assert len(images(finished_run.plot("g00", "flux"))) == len(BANDS)


def test_filters_are_those_of_the_bands(plain):
    assert tuple(curve.name for curve in plain.filters) == plain.bands == tuple(BANDS)


def test_morphology_is_drawn_where_it_is(finished_run):
    data = data_of(finished_run, "g00")
    data.__dict__["morphology"] = profiles()
    figure = draw_of(data, "morphology")
    assert figure.get_suptitle() == "g00,   z = 0.05"
    drawn(figure)


survey = spectral.survey


@pytest.mark.slow
def test_spectra_and_lines_are_drawn_of_a_run_with_spectra(survey, tmp_path):
    data = data_of(spectral.run_of(survey, tmp_path / "run"), "m1")
    assert not set(SPECTRAL) & set(undrawable(data))
    figure = draw_of(data, "spectrum")
    number = int(figure.get_suptitle().rpartition(" ")[2])
    assert np.isfinite(data.bins["spectrum"].values[number]).any()  # not one beside the cube
    (line,) = [one for one in figure.axes[1].lines if one.get_label() == "spectrum"]
    np.testing.assert_array_equal(line.get_ydata(), data.bins["spectrum"].values[number])
    assert r"$10^{-17}$ erg s$^{-1}$" in labels(figure)
    drawn(figure)
    figure = draw_of(data, "lines")
    assert r"km\,s^{-1}" in labels(figure)
    drawn(figure)


def cli(*words):
    return CliRunner().invoke(app, ["plot", *(str(word) for word in words)])


def test_the_command_writes_a_figure_and_keeps_what_is_there(finished_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = cli(finished_run.store, "g00", "sed", "--bin", 1)
    assert result.exit_code == 0
    assert result.output.strip() == "g00-sed.png"
    first = (tmp_path / "g00-sed.png").read_bytes()
    assert first[:8] == b"\x89PNG\r\n\x1a\n"
    again = cli(finished_run.store, "g00", "sed", "--bin", 1)
    assert isinstance(again.exception, ConfigError)
    assert "g00-sed.png exists" in str(again.exception)
    assert cli(finished_run.store, "g00", "sed", "--bin", 1, "--overwrite").exit_code == 0
    assert (tmp_path / "g00-sed.png").read_bytes() == first
    pdf = cli(finished_run.store, "g00", "pixels", "--pixel", 16, 16, "-o", tmp_path / "p.pdf")
    assert pdf.exit_code == 0
    assert (tmp_path / "p.pdf").read_bytes()[:5] == b"%PDF-"


def test_without_a_kind_the_command_lists_them(finished_run):
    result = cli(finished_run.store, "g00")
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == list(KINDS)
    assert any("not of g00: no posterior samples were kept" in line for line in lines)
    both = cli(finished_run.store, "g00", "flux", "--all")
    assert "wanted one of them" in str(both.exception)


@pytest.mark.slow
def test_all_kinds_at_once(finished_run, tmp_path):
    result = cli(finished_run.store, "g00", "--all", "-o", tmp_path / "all")
    assert result.exit_code == 0
    names = {path.name for path in (tmp_path / "all").iterdir()}
    assert names == {f"g00-{kind}.png" for kind in ALWAYS}
    assert "no corner: no posterior samples were kept" in result.output
    (tmp_path / "all" / "g00-flux.png").unlink()
    again = cli(finished_run.store, "g00", "--all", "-o", tmp_path / "all")
    assert "exists" in str(again.exception)
    assert not (tmp_path / "all" / "g00-flux.png").exists()  # told before anything is drawn
