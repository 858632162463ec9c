"""The files of a run's report: what is written, and that it is what the run has."""

import json
import re
import shutil

import pytest

import pxdask
from pxdask.core.errors import ConfigError
from pxdask.report.viewer import SCRIPT
from pxdask.survey.looking.plotting import KINDS, data_of
from pxdask.survey.looking.report_pictures import FIGURES
from pxdask.survey.looking.reporting import write_report


def rows_of(index):
    text = index.read_text(encoding="utf-8")
    rows = re.search(r'id="rows">(.*?)</script>', text, re.DOTALL)[1]
    facts = re.search(r'id="facts">(.*?)</script>', text, re.DOTALL)[1]
    keys = [column["key"] for column in json.loads(facts)["columns"]]
    return {row[0]: dict(zip(keys, row[4:], strict=True)) for row in json.loads(rows)}


class TestFiles:
    def test_what_is_written(self, report):
        assert (report.n_galaxy, report.n_page) == (4, 3)
        folder = report.index.parent
        found = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.*"))
        names = [f"galaxies/g0{n}.html" for n in range(3)]
        assert found == [f"assets/{SCRIPT}", *names, "index.html", *(
            f"thumbnails/g0{n}.png" for n in range(2)
        )]  # fmt: skip

    def test_the_table_is_that_of_the_run(self, report, run):
        rows = rows_of(report.index)
        run.collect(formats=())
        table = run.table()
        for name in ("g00", "g01"):
            known = table[table["id"] == name][0]
            assert rows[name]["log_mass"] == pytest.approx(known["log_mass"].value, abs=1e-4)
            assert rows[name]["n_bin"] == known["n_bin"]
        assert rows["g02"]["log_mass"] is None
        assert rows["g03"]["z"] == 0.05
        assert rows["g03"]["time"] is None

    def test_nothing_is_overwritten_unasked(self, run, report):
        with pytest.raises(ConfigError, match=r"index\.html exists"):
            write_report(run, report.index.parent)

    def test_an_unknown_galaxy_is_named(self, run, tmp_path):
        with pytest.raises(ConfigError, match="no galaxy g99"):
            run.report(tmp_path / "report", galaxies=["g99"])
        assert not (tmp_path / "report").exists()

    def test_one_galaxy(self, run, tmp_path):
        made = run.report(tmp_path, galaxies=["g01"])
        assert (made.n_galaxy, made.n_page) == (1, 1)
        page = (tmp_path / "galaxies" / "g01.html").read_text(encoding="utf-8")
        assert 'rel="prev"' not in page
        assert 'rel="next"' not in page

    def test_failures_are_told(self, report):
        page = (report.index.parent / "galaxies" / "g02.html").read_text(encoding="utf-8")
        assert "What went wrong" in page
        assert "not a FITS file" in page
        assert "Failures by reason" in report.index.read_text(encoding="utf-8")

    def test_numbers_have_errors_and_units(self, report):
        page = (report.index.parent / "galaxies" / "g00.html").read_text(encoding="utf-8")
        assert re.search(r'<th scope="row">log M★</th><td>\d+\.\d+ ± \d\.\d+</td>'
                         r"<td>\d+\.\d+ −\d\.\d+ \+\d\.\d+</td>.*M☉", page)  # fmt: skip
        for words in ("flux [µJy]", "AB [mag]", "Input files", "seed of"):
            assert words in page

    def test_a_damaged_file_is_a_fault_of_its_page(self, run, tmp_path):
        store = shutil.copytree(run.store, tmp_path / "run")
        path = next((store / "galaxies").rglob("g01/fit-*.zarr.zip"))
        path.write_bytes(path.read_bytes()[:-100])
        made = write_report(pxdask.open_run(store), galaxies=["g01"])
        assert made.index == store / "report" / "index.html"
        assert rows_of(made.index)["g01"]["log_mass"] is None
        page = (store / "report" / "galaxies" / "g01.html").read_text(encoding="utf-8")
        assert "What went wrong" in page
        assert path.name in page

    def test_a_run_that_has_not_begun(self, run, tmp_path):
        store = tmp_path / "run"
        store.mkdir()
        for name in ("run.json", "config.yaml", "catalog.parquet"):
            shutil.copyfile(run.store / name, store / name)
        made = write_report(pxdask.open_run(store))
        assert (made.n_galaxy, made.n_page) == (4, 0)
        assert rows_of(made.index)["g00"]["log_mass"] is None

    @pytest.mark.slow
    @pytest.mark.cluster
    def test_processes_write_the_same(self, run, report, tmp_path):
        made = write_report(run, tmp_path, workers=2)
        assert rows_of(made.index) == rows_of(report.index)

    def test_figures_of_a_page_exist(self, run, report):
        """A page shows every figure that its galaxy has what is needed for."""
        assert {kind for kind, *_ in FIGURES} <= set(KINDS)
        page = (report.index.parent / "galaxies" / "g00.html").read_text(encoding="utf-8")
        data = data_of(run, "g00")
        for kind, title, _ in FIGURES:
            there = not any(data.missing(what) for what in KINDS[kind].needs)
            assert (f"<figcaption>{title}" in page) == there
