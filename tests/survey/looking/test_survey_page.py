"""The page of a survey, opened in a real browser: every control works, with many galaxies too."""

import numpy as np
import pytest

from pxdask.report import survey_html
from pxdask.report.pages import Column, GalaxyRow, SurveyPage
from tests.survey.looking.browser import (
    CONTROLS,
    IMAGES,
    NAMES,
    NARROW,
    OVERFLOW,
    WIDE,
    browsing,
    tabbed,
)
from tests.survey.watch.test_panel import screenshot


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
