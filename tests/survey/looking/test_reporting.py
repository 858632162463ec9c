"""Reports of a run, opened in a real browser: every figure, control and click works."""

import json
import re
import shutil
from contextlib import contextmanager

import numpy as np
import pytest

import pxdask
from pxdask.core.errors import ConfigError, DataError
from pxdask.report import survey_html
from pxdask.report.pages import Column, GalaxyRow, SurveyPage
from pxdask.report.viewer import SCRIPT
from pxdask.survey.looking.plotting import KINDS, data_of
from pxdask.survey.looking.report_pictures import FIGURES
from pxdask.survey.looking.report_tables import weighted
from pxdask.survey.looking.reporting import write_report
from pxdask.survey.looking.viewing import histories_of, viewer_data
from tests.components import need
from tests.survey.mini import make_survey
from tests.survey.watch.test_panel import opened, screenshot

WIDE, NARROW = 1280, 390


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Two galaxies done, with samples; one broken; one that nothing was done for."""
    root = tmp_path_factory.mktemp("reported-run")
    fit = {"block_size": 4, "n_samples": 40, "integrated": True}
    catalog, config = make_survey(root, 4, fit=fit)
    (root / "images" / "g02" / "r.fits").write_bytes(b"junk")
    options = {"root": root, "serial": True, "progress": False, "check": False}
    names = ("g00", "g01", "g02")
    return pxdask.submit(catalog, config, root / "run", galaxies=names, **options)


@pytest.fixture(scope="module")
def report(run, tmp_path_factory):
    """Its report."""
    return write_report(run, tmp_path_factory.mktemp("report"), workers=1)


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


class TestViewerData:
    def test_it_is_what_the_run_has(self, run):
        shown = viewer_data(data_of(run, "g00"))
        bins, fit = run.dataset("g00", "bins"), run.dataset("g00", "fit")
        n = shown.start
        order = np.argsort(bins["pivot_wave"].values)
        np.testing.assert_allclose(
            shown.seds.model[n], fit["model_flux"].values[n, order], rtol=1e-6
        )
        names = [name for name, _ in shown.results]
        np.testing.assert_allclose(
            shown.quantiles[names.index("log M★"), n], fit["log_mass"].values[n], rtol=1e-6
        )
        assert np.count_nonzero(shown.bin_map >= 0) == int(bins["n_pix"].sum())

    def test_large_maps_are_sampled(self, run):
        data = data_of(run, "g00")
        whole, less = viewer_data(data), viewer_data(data, max_side=8)
        assert max(less.bin_map.shape) <= 8 < max(whole.bin_map.shape)
        step = -(-max(whole.bin_map.shape) // 8)
        np.testing.assert_array_equal(less.bin_map, whole.bin_map[::step, ::step])
        assert less.extent[0] == whole.extent[0]

    def test_histories_are_those_of_the_posterior(self, run):
        """All bins at once give what they give one by one, from the same samples."""
        found = histories_of(data_of(run, "g00"))
        assert "40 posterior samples" in found.note
        posterior = run.posterior("g00")
        for n in (0, len(posterior) - 1):
            known = posterior.sfh(n, n_time=found.time.size)
            np.testing.assert_allclose(found.rate[n], known.rate.to_value("Msun / yr"), rtol=1e-5)
            np.testing.assert_allclose(found.time, known.time.to_value("Gyr"))

    def test_only_some_bins_have_histories(self, run):
        data = data_of(run, "g00")
        found = histories_of(data, n_bin=2)
        mass = data.fit["log_mass"].sel(quantile=0.5).values
        has = np.isfinite(found.rate[:, 1, 0])
        assert has.sum() == 2
        assert mass[has].min() >= mass[~has].max()
        assert "2 bins of most mass" in found.note

    def test_without_samples_a_history_has_no_interval(self, finished_run):
        """It adds up to the mass formed, of which half or more lives or is left as remnants."""
        data = data_of(finished_run, "g00")
        found = histories_of(data)
        np.testing.assert_array_equal(found.rate[:, 0], found.rate[:, 2])
        assert "no samples" in found.note
        ends = np.zeros(found.time.size + 1)
        for i, middle in enumerate(found.time):
            ends[i + 1] = 2 * middle - ends[i]
        formed = np.sum(found.rate[:, 1] * np.diff(ends), axis=1) * 1e9
        left = 10 ** data.fit["log_mass"].sel(quantile=0.5).values / formed
        assert np.all((left > 0.5) & (left < 1))

    def test_no_maps_no_viewer(self, run):
        with pytest.raises(DataError, match="g02"):
            pxdask.view(run, "g02")


def test_weighted_by_hand():
    mean, low, high = weighted(np.array([3.0, 1.0, np.nan, 2.0]), np.array([1.0, 2.0, 9.0, 1.0]))
    assert (mean, low, high) == (1.75, 1.0, 3.0)
    assert np.isnan(weighted(np.array([np.nan]), np.array([1.0]))[0])


@contextmanager
def browsing(width, *, dark=False):
    """Give an empty page of a browser; faults and requests to elsewhere fail the test."""
    need("chromium")
    from playwright.sync_api import sync_playwright

    faults = []
    with sync_playwright() as playwright:
        browser, page = opened(playwright)
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme="dark" if dark else "light")
        page.on("console", lambda told: faults.append(told.text) if told.type in BAD else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("requestfailed", lambda request: faults.append(request.url))
        page.on("request", lambda request: faults.append(request.url) if far(request) else None)
        yield page
        browser.close()
    assert faults == []


BAD = ("error", "warning")


def far(request):
    return not request.url.startswith(("file:", "data:", "about:", "blob:"))


IMAGES = """() => Array.from(document.images, image => [image.alt, image.complete,
    image.naturalWidth])"""
OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
NAMES = "() => Array.from(document.querySelectorAll('#galaxies tbody th'), box => box.innerText)"
FOCUSED = """() => {
    let one = document.activeElement;
    while (one.shadowRoot && one.shadowRoot.activeElement) one = one.shadowRoot.activeElement;
    const box = one.getBoundingClientRect(), style = getComputedStyle(one);
    return [one.tagName, one.innerText || one.value || one.ariaLabel || '', box.width > 0,
        style.outlineStyle != 'none' || style.boxShadow != 'none' || one.tagName == 'BODY'];
}"""
CONTROLS = """() => document.querySelectorAll('a[href], button:not(:disabled), input, select,'
    + 'summary, :not(details > *)[tabindex="0"]').length"""
"""All but what is folded away."""


def tabbed(page, most=80):
    """Return what the tab key reaches, in order, until it is back at the beginning."""
    found = []
    for _ in range(most):
        page.keyboard.press("Tab")
        one = page.evaluate(FOCUSED)
        if one[0] == "BODY":
            return found
        found.append(one)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_the_survey_page_in_a_browser(report, width):
    with browsing(width, dark=width == NARROW) as page:
        page.goto(report.index.as_uri())
        page.locator("#galaxies img").first.scroll_into_view_if_needed()
        page.wait_for_function(
            "() => Array.from(document.images).every(one => one.complete && one.naturalWidth)"
        )
        assert [alt for alt, *_ in page.evaluate(IMAGES)] == [
            "colour image of g00", "colour image of g01"
        ]  # fmt: skip
        assert page.evaluate(OVERFLOW) == 0
        assert page.evaluate(NAMES) == ["g00", "g01", "g02", "g03"]
        screenshot(page, f"report-{width}.png")

        head = page.locator("#galaxies th", has_text="galaxy")
        assert head.get_attribute("aria-sort") == "none"
        head.get_by_role("button").click()
        assert head.get_attribute("aria-sort") == "ascending"
        head.get_by_role("button").focus()
        page.keyboard.press("Enter")
        assert head.get_attribute("aria-sort") == "descending"
        assert page.evaluate(NAMES) == ["g03", "g02", "g01", "g00"]
        mass = page.locator("#galaxies th", has_text="log M★")
        mass.get_by_role("button").focus()
        page.keyboard.press("Space")
        assert mass.get_attribute("aria-sort") == "ascending"
        assert head.get_attribute("aria-sort") == "none"
        assert set(page.evaluate(NAMES)[2:]) == {"g02", "g03"}  # without one: last
        page.keyboard.press("Space")
        assert set(page.evaluate(NAMES)[2:]) == {"g02", "g03"}

        page.locator("#filter").fill("G0 log_mass>0")
        page.wait_for_function("() => document.querySelectorAll('#galaxies tbody tr').length == 2")
        assert page.locator("#shown").inner_text() == "2 of 4 galaxies"
        page.locator("#filter").fill("dec>=2.04 z<0.1")
        page.wait_for_function("() => document.querySelectorAll('#galaxies tbody tr').length == 3")
        page.locator("#filter").fill("")
        page.locator("#state").select_option("failed")
        page.wait_for_function("() => document.querySelectorAll('#galaxies tbody tr').length == 1")
        assert page.evaluate(NAMES) == ["g02"]
        page.locator("#state").select_option("")
        page.wait_for_function("() => document.querySelectorAll('#galaxies tbody tr').length == 4")

        page.reload()
        page.wait_for_selector("#galaxies tbody tr")
        reached = tabbed(page)
        assert reached[0][1] == "Skip to the table of galaxies"
        assert len(reached) == page.evaluate(CONTROLS)
        assert all(visible and marked for *_, visible, marked in reached)
        page.get_by_role("link", name="g00").click()
        page.wait_for_url("**/galaxies/g00.html")


PLACE = """number => {
    const all = Bokeh.documents.flatMap(one => Array.from(one._all_models.values()));
    const figure = all.find(one => one.name == 'map');
    const view = Bokeh.index.find_one_by_id(figure.id);
    const event = figure.js_event_callbacks.tap[0].args;
    const get = name => event instanceof Map ? event.get(name) : event[name];
    const at = Array.from(get('bin_map')).indexOf(number), n_x = get('n_x');
    const x = get('left') + (at % n_x + 0.5) * get('width') / n_x;
    const y = get('bottom') + (Math.floor(at / n_x) + 0.5) * get('height') / get('n_y');
    view.el.scrollIntoView({block: 'center', behavior: 'instant'});
    const box = view.el.getBoundingClientRect();
    return [box.x + view.frame.x_scale.compute(x), box.y + view.frame.y_scale.compute(y)];
}"""


def source(page, name):
    """Return what one of the viewer's sources holds."""
    return page.evaluate(
        """name => {
            const all = Bokeh.documents.flatMap(one => Array.from(one._all_models.values()));
            const data = all.find(one => one.name == name && one.data).data;
            const get = data instanceof Map ? Object.fromEntries(data) : data;
            return Object.fromEntries(Object.entries(get).map(([k, v]) => [k, Array.from(v,
                one => typeof one == 'number' || typeof one == 'string' ? one : null)]));
        }""",
        name,
    )


def text_of(page, name):
    """Return the text of one of the viewer's models."""
    return page.evaluate(
        """name => Bokeh.documents.flatMap(one => Array.from(one._all_models.values()))
            .find(one => one.name == name).text""",
        name,
    )


def drawn(page):
    """Wait until the viewer is drawn."""
    page.wait_for_function("() => window.Bokeh && Bokeh.documents.length")
    page.locator("#viewer canvas").first.wait_for()
    page.wait_for_timeout(500)


def same(found, wanted):
    np.testing.assert_allclose(np.array(found, float), wanted, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_the_page_of_a_galaxy_in_a_browser(report, run, width):
    shown = viewer_data(data_of(run, "g00"))
    with browsing(width) as page:
        page.goto((report.index.parent / "galaxies" / "g00.html").as_uri())
        drawn(page)
        assert page.evaluate(OVERFLOW) == 0
        images = page.evaluate(IMAGES)
        assert len(images) >= 8
        assert all(alt and complete and size > 100 for alt, complete, size in images)
        same(source(page, "sed")["seen"], shown.seds.seen[shown.start])
        screenshot(page, f"galaxy-{width}.png")

        sizes = np.bincount(shown.bin_map[shown.bin_map >= 0])
        other = next(n for n in np.argsort(sizes) if n != shown.start)
        page.mouse.click(*page.evaluate(PLACE, int(other)))
        page.wait_for_function(
            f"() => document.querySelector('#viewer') && ({BIN})() == {int(other)}"
        )
        found = source(page, "sed")
        same(found["seen"], shown.seds.seen[other])
        same(found["model"], shown.seds.model[other])
        same(found["residual"], shown.seds.residual[other])
        same(source(page, "history")["middle"], shown.histories.rate[other, 1])
        assert f"Bin {other}</b>" in text_of(page, "table")
        assert len(source(page, "outline")["x0"]) >= 4
        screenshot(page, f"galaxy-clicked-{width}.png")

        before = text_of(page, "table")
        page.locator("#viewer input").first.focus()
        page.keyboard.press("Control+a")
        page.keyboard.type(str(shown.start))
        page.keyboard.press("Enter")
        page.wait_for_function(f"() => ({BIN})() == {shown.start}")
        same(source(page, "sed")["seen"], shown.seds.seen[shown.start])
        assert text_of(page, "table") != before


BIN = """() => Bokeh.documents.flatMap(one => Array.from(one._all_models.values()))
    .find(one => one.name == 'number').value"""


@pytest.mark.slow
def test_maps_to_choose_and_what_the_keys_reach(report, run):
    shown = viewer_data(data_of(run, "g00"))
    with browsing(WIDE) as page:
        page.goto((report.index.parent / "galaxies" / "g00.html").as_uri())
        drawn(page)
        for layer in shown.layers:
            page.locator("#viewer select").select_option(layer.label)
            values = layer.values
            if values.ndim == 1:
                values = np.where(shown.bin_map >= 0, values[shown.bin_map], np.nan)
            image = page.evaluate(
                """() => Array.from(Bokeh.documents.flatMap(one => Array.from(
                    one._all_models.values())).find(one => one.name == 'image').data.image[0],
                    one => Number.isFinite(one) ? one : null)"""
            )
            same(image, values.ravel())
        first = text_of(page, "table")
        for n in range(len(shown.notes)):
            page.evaluate(f"() => {{ {SET}({n}) }}")
            assert f"Bin {n}</b>" in text_of(page, "table")
        page.evaluate(f"() => {{ {SET}({shown.start}) }}")
        assert text_of(page, "table") == first  # JavaScript writes what Python wrote
        page.reload()
        drawn(page)
        reached = tabbed(page)
        assert reached[0][1] == "Skip to the results"
        tags = [tag for tag, *_ in reached]
        assert "SELECT" in tags
        assert "INPUT" in tags
        assert tags.count("SUMMARY") == page.locator("summary").count()
        assert all(visible for *_, visible, _marked in reached)


SET = """(n => { Bokeh.documents.flatMap(one => Array.from(one._all_models.values()))
    .find(one => one.name == 'number').value = n; })"""


@pytest.mark.slow
def test_a_page_alone_tells_what_it_lacks(report, tmp_path):
    need("chromium")
    from playwright.sync_api import sync_playwright

    page_alone = tmp_path / "g00.html"
    page_alone.write_bytes((report.index.parent / "galaxies" / "g00.html").read_bytes())
    with sync_playwright() as playwright:
        browser, page = opened(playwright)
        errors = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(page_alone.as_uri())
        assert page.get_by_text("The viewer needs the file").is_visible()
        assert not page.locator("#viewer").is_visible()
        assert all(size for *_, size in page.evaluate(IMAGES))
        browser.close()
    assert errors == []


@pytest.mark.slow
def test_the_viewer_of_a_notebook(run, tmp_path):
    """What a notebook shows is a frame that holds everything; a click in it works."""
    viewer = pxdask.view(run, "g01")
    path = tmp_path / "notebook.html"
    assert len(repr(viewer)) < 100
    path.write_text(f"<!DOCTYPE html><html><body>{viewer._repr_html_()}</body></html>")
    saved = viewer.save(tmp_path / "viewer.html")
    with pytest.raises(ConfigError, match="exists"):
        viewer.save(saved)
    with browsing(WIDE) as page:
        page.goto(path.as_uri())
        frame = page.frames[1]
        frame.wait_for_function("() => window.Bokeh && Bokeh.documents.length")
        frame.locator("#viewer canvas").first.wait_for()
        page.wait_for_timeout(500)
        other = 1 if viewer.data.start != 1 else 0
        x, y = frame.evaluate(PLACE, other)
        box = page.locator("iframe").bounding_box()
        page.mouse.click(box["x"] + x, box["y"] + y)
        frame.wait_for_function(f"() => ({BIN})() == {other}")
        same(source(frame, "sed")["model"], viewer.data.seds.model[other])


@pytest.mark.slow
def test_ten_thousand_galaxies_stay_usable(tmp_path):
    """A page of the table at a time: filtering and sorting take a fraction of a second each."""
    columns = (Column("z", "z", "", "redshift", 4), Column("log_mass", "log M★", "M☉"))
    page_ = SurveyPage("big", "/run", "now", {"done": 10_000}, (), (), columns, "name: big")
    rng = np.random.default_rng(1)
    values = rng.uniform(0, 1, (10_000, 2)).round(4)
    rows = (
        GalaxyRow(f"g{n:05d}", "done", has_page=True, has_picture=True, values=tuple(pair)).json()
        for n, pair in enumerate(values.tolist())
    )
    index = tmp_path / "index.html"
    index.write_text("".join(survey_html(page_, rows)), encoding="utf-8")
    assert index.stat().st_size < 1e6
    with browsing(WIDE) as page:
        page.route("**/thumbnails/*", lambda route: route.fulfill(status=200, body=b""))
        page.goto(index.as_uri())
        assert page.locator("#galaxies tbody tr").count() == 50
        spent = page.evaluate(
            """() => { const from = performance.now();
                document.querySelectorAll('#galaxies th button')[3].click();
                return performance.now() - from; }"""
        )
        assert spent < 1500  # [ms]; about 30 on a quiet machine
        least = np.argsort(values[:, 1], kind="stable")[:50]
        assert page.evaluate(NAMES) == [f"g{n:05d}" for n in least]
        page.locator("#last").click()
        assert page.locator("#where").inner_text() == "page 200 of 200"
        assert page.locator("#after").is_disabled()
        page.locator("#filter").fill("z>0.999")
        n_left = int((values[:, 0] > 0.999).sum())
        page.wait_for_function(
            "n => document.getElementById('shown').textContent.startsWith(`${n} of`)", arg=n_left
        )
