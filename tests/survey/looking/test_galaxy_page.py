"""Pages of galaxies and viewers, opened in a real browser: every figure and click works."""

import numpy as np
import pytest

import pxdask
from pxdask.core.errors import ConfigError
from pxdask.survey.looking.plotting import data_of
from pxdask.survey.looking.viewing import viewer_data
from tests.components import need
from tests.survey.looking.browser import (
    BIN,
    IMAGES,
    NARROW,
    OVERFLOW,
    PLACE,
    WIDE,
    browsing,
    drawn,
    same,
    source,
    tabbed,
    text_of,
)
from tests.survey.watch.test_panel import opened, screenshot

SET = """(n => { Bokeh.documents.flatMap(one => Array.from(one._all_models.values()))
    .find(one => one.name == 'number').value = n; })"""


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
