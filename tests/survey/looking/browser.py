"""A real browser to open reports in: what it shows, what its keys reach, what its viewer holds."""

from contextlib import contextmanager

import numpy as np

from tests.components import need
from tests.survey.watch.test_panel import opened

WIDE, NARROW = 1280, 390
"""Widths of a screen and of a telephone [px]."""
BAD = ("error", "warning")
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
BIN = """() => Bokeh.documents.flatMap(one => Array.from(one._all_models.values()))
    .find(one => one.name == 'number').value"""


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


def far(request):
    return not request.url.startswith(("file:", "data:", "about:", "blob:"))


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
