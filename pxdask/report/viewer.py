"""The interactive viewer of a galaxy: a click on a map shows the bin's SED, results, history.

All data are in the document and all reactions are JavaScript, so that it works in a page on disk
and in a notebook alike, without a server or a kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh import __version__ as BOKEH_VERSION  # noqa: N812  a constant
from bokeh import models, palettes, plotting
from bokeh.embed import components
from bokeh.events import Tap
from bokeh.resources import Resources

from pxdask.kernels.painting import painted
from pxdask.report.viewer_data import outlines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pxdask.report.viewer_data import Layer, ViewerData

_figure: Any = plotting.figure
_models: Any = models
"""Their arguments are too many kinds of things for their own annotations."""

PARTS = ("layer", "number", "map", "table", "sed", "residual", "history")
"""Parts of the viewer, in the order in which they are read."""

OBSERVED, MODEL, INK, NEUTRAL = "#D55E00", "#0072B2", "#262626", "#ededed"
"""Vermilion and blue of Okabe & Ito (2008); the greys of the package's figures."""

SCRIPT = f"bokeh-{BOKEH_VERSION}.min.js"
"""Name of the file of `viewer_script`."""

_TICKS = (0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 7, 10, 20, 50, 100, 200, 500)
_HEAD = (
    "<table><thead><tr><th>result</th><th>median</th><th>to p16</th><th>to p84</th>"
    "<th>unit</th></tr></thead>"
)
_TABLE_STYLE = """
table { border-collapse: collapse; width: 100%; font: 13px system-ui, sans-serif; }
p { font: 13px system-ui, sans-serif; margin: 0 0 6px 0; overflow-wrap: anywhere; }
th, td { padding: 2px 8px 2px 0; border-bottom: 1px solid #e4e7ea; text-align: right; }
th:first-child, th:last-child, td:last-child { text-align: left; }
th { font-weight: 500; }
td { font-variant-numeric: tabular-nums; white-space: nowrap; }
"""


@dataclass(frozen=True, slots=True)
class ViewerParts:
    """The viewer in a page.

    Attributes
    ----------
    script : str
        JavaScript that draws it; it needs what `viewer_script` returns.
    places : dict
        HTML of the place of each of `PARTS`.
    note : str
        How histories were made, or why there are none.
    """

    script: str
    places: dict[str, str]
    note: str


@lru_cache(maxsize=1)
def viewer_script() -> str:
    """Return the JavaScript library that viewers need: about 1.7 MB, the same for all."""
    wanted = Resources(mode="inline", components=["bokeh", "bokeh-widgets"])
    return "\n".join(wanted.js_raw)


def viewer_parts(data: ViewerData) -> ViewerParts:
    """Return the viewer of a galaxy as pieces of a page."""
    script, places = components(viewer_models(data), wrap_script=False)
    return ViewerParts(script, places, data.histories.note)


def viewer_models(data: ViewerData) -> dict[str, Any]:
    """Return the bokeh models of the viewer by the names in `PARTS`, tied to one another."""
    sources = _sources(data)
    seds = data.seds
    flux_range = _models.Range1d(float(seds.low[data.start]), float(seds.high[data.start]))
    reach = float(seds.reach[data.start])
    residual_range = _models.Range1d(-reach, reach)
    spinner = _models.Spinner(
        title=f"Bin, 0 to {data.n_bin - 1}", low=0, high=data.n_bin - 1, step=1,
        value=data.start, name="number", sizing_mode="stretch_width",
    )  # fmt: skip
    table = _models.Div(
        text=_table(data, data.start),
        name="table",
        sizing_mode="stretch_width",
        stylesheets=[_models.InlineStyleSheet(css=_TABLE_STYLE)],
    )
    sed = _sed_figure(data, sources["sed"], flux_range)
    parts = {
        "number": spinner,
        "table": table,
        "sed": sed,
        "residual": _residual_figure(data, sources["sed"], residual_range, sed.x_range),
        "history": _history(data, sources["history"]),
        **_map(data, sources, spinner),
    }
    spinner.js_on_change(
        "value",
        _models.CustomJS(
            args={
                **_banks(data),
                **sources,
                "spinner": spinner,
                "table": table,
                "flux_range": flux_range,
                "residual_range": residual_range,
            },
            code=_code("bin"),
        ),
    )
    return {name: parts[name] for name in PARTS}


def _banks(data: ViewerData) -> dict[str, Any]:
    """Return what is known of all bins, as the JavaScript takes it: arrays end to end."""
    seds, edges = data.seds, outlines(data.bin_map, n_bin=data.n_bin, extent=data.extent)
    columns = ("seen", "lower", "upper", "limit", "model", "residual")
    return {
        "sed_banks": {name: getattr(seds, name).ravel() for name in columns},
        "bands_names": list(seds.bands),
        "wave": seds.wave,
        **{name: getattr(seds, name) for name in ("low", "high", "reach")},
        "time": data.histories.time,
        "rate": data.histories.rate.ravel(),
        "results": [[escape(name), escape(unit)] for name, unit in data.results],
        "quantiles": np.ascontiguousarray(data.quantiles, np.float32).ravel(),
        "notes": [escape(note) for note in data.notes],
        "head": _HEAD,
        "edges": edges[0].ravel(),
        "first": edges[1],
    }


def _sources(data: ViewerData) -> dict[str, Any]:
    """Return what is drawn at first."""
    seds, n = data.seds, data.start
    columns = ("seen", "lower", "upper", "limit", "model", "residual")
    edges, first = outlines(data.bin_map, n_bin=data.n_bin, extent=data.extent)
    own = edges[first[n] : first[n + 1]].T
    rates = data.histories.rate[n] if data.histories.time.size else np.empty((3, 0))
    return {
        "sed": _models.ColumnDataSource(
            {
                "wave": seds.wave,
                "band": list(seds.bands),
                **{name: getattr(seds, name)[n] for name in columns},
            },
            name="sed",
        ),
        "history": _models.ColumnDataSource(
            {
                "time": data.histories.time,
                **dict(zip(("low", "middle", "high"), rates, strict=True)),
            },
            name="history",
        ),
        "outline": _models.ColumnDataSource(
            dict(zip(("x0", "y0", "x1", "y1"), own, strict=True)), name="outline"
        ),
    }


def _map(data: ViewerData, sources: dict[str, Any], spinner: Any) -> dict[str, Any]:  # noqa: ANN401  bokeh's
    """Return the map with its choice."""
    first, (left, right, bottom, top) = data.layers[0], data.extent
    low, high = first.limits
    mapper = _models.LinearColorMapper(
        palette=_colours(first), low=low, high=high, nan_color="rgba(0,0,0,0)"
    )
    image = _models.ColumnDataSource({"image": [_painted(first, data)]}, name="image")
    figure = _figure(
        height=470, sizing_mode="stretch_width", match_aspect=True, tools="pan,wheel_zoom,reset",
        active_drag=None, active_scroll=None,
        x_axis_label="offset [arcsec]", y_axis_label="offset [arcsec]",
        background_fill_color=NEUTRAL, name="map", toolbar_location="above",
    )  # fmt: skip
    figure.grid.visible = False
    figure.toolbar.logo = None
    drawn = figure.image(
        "image", source=image, x=left, y=bottom, dw=right - left, dh=top - bottom,
        color_mapper=mapper,
    )  # fmt: skip
    for colour, width in (("black", 3.5), ("white", 1.5)):
        figure.segment(
            "x0", "y0", "x1", "y1", source=sources["outline"], line_color=colour,
            line_width=width, line_cap="round",
        )  # fmt: skip
    figure.add_tools(_models.HoverTool(renderers=[drawn], tooltips=[("value", "@image{0.000}")]))
    bar = _models.ColorBar(color_mapper=mapper, title=first.label, height=12, label_standoff=4)
    figure.add_layout(bar, "below")
    n_y, n_x = data.bin_map.shape
    place = {"left": left, "bottom": bottom, "width": right - left, "height": top - bottom}
    flat = np.ascontiguousarray(data.bin_map, np.int32).ravel()
    figure.js_on_event(
        Tap,
        _models.CustomJS(
            args={**place, "n_x": n_x, "n_y": n_y, "bin_map": flat, "spinner": spinner},
            code=_code("tap"),
        ),
    )
    labels = [layer.label for layer in data.layers]
    select = _models.Select(
        title="Map", options=list(labels), value=first.label, name="layer",
        sizing_mode="stretch_width",
    )  # fmt: skip
    args = {
        "labels": labels,
        "layers": [np.ascontiguousarray(one.values, np.float32).ravel() for one in data.layers],
        "of_pixels": [layer.values.ndim == 2 for layer in data.layers],
        "limits": [list(layer.limits) for layer in data.layers],
        "names": [layer.palette for layer in data.layers],
        "palettes": {layer.palette: _colours(layer) for layer in data.layers},
        "bin_map": flat,
        "image": image,
        "mapper": mapper,
        "bar": bar,
    }
    select.js_on_change("value", _models.CustomJS(args=args, code=_code("layer")))
    return {"map": figure, "layer": select}


def _sed_figure(data: ViewerData, source: Any, flux_range: Any) -> Any:  # noqa: ANN401  bokeh's
    """Return the figure of observed and model SED."""
    wave = data.seds.wave
    figure = _figure(
        height=290, sizing_mode="stretch_width", x_axis_type="log", y_axis_type="log",
        x_range=_models.Range1d(0.8 * wave.min(), 1.25 * wave.max()), y_range=flux_range,
        y_axis_label="flux density [µJy]", tools="pan,wheel_zoom,reset",
        active_drag=None, active_scroll=None,
        name="sed", toolbar_location="above",
    )  # fmt: skip
    figure.toolbar.logo = None
    figure.add_layout(
        _models.Whisker(
            base="wave", lower="lower", upper="upper", source=source, line_color=OBSERVED,
            line_width=1.5, lower_head=None, upper_head=None,
        )
    )  # fmt: skip
    figure.line("wave", "model", source=source, color=MODEL, line_width=1.2)
    models = figure.scatter(
        "wave", "model", source=source, marker="square", size=9, line_color=MODEL,
        fill_color="white", legend_label="best model",
    )  # fmt: skip
    observed = figure.scatter(
        "wave", "seen", source=source, size=7, color=OBSERVED, legend_label="observed"
    )
    figure.scatter(
        "wave", "limit", source=source, marker="inverted_triangle", size=9, line_color=OBSERVED,
        fill_color="white", legend_label="upper limit",
    )  # fmt: skip
    tips = [("band", "@band"), ("observed", "@seen µJy"), ("model", "@model µJy")]
    figure.add_tools(_models.HoverTool(renderers=[models, observed], tooltips=tips))
    legend = figure.legend[0]
    legend.update(orientation="horizontal", label_text_font_size="11px", padding=0, spacing=8)
    legend.update(border_line_width=0)
    figure.add_layout(legend, "above")
    _wave_axis(figure, wave)
    figure.xaxis.major_label_text_font_size = "0px"
    return figure


def _residual_figure(data: ViewerData, source: Any, span: Any, x_range: Any) -> Any:  # noqa: ANN401  bokeh's
    """Return the figure of residuals."""
    figure = _figure(
        height=140, sizing_mode="stretch_width", x_axis_type="log", x_range=x_range,
        y_range=span, x_axis_label="observed wavelength [µm]", y_axis_label="residual [σ]",
        tools="", toolbar_location=None, name="residual",
    )  # fmt: skip
    figure.line(
        [float(data.seds.wave.min()) / 10, float(data.seds.wave.max()) * 10], [0, 0], color=INK
    )
    figure.scatter("wave", "residual", source=source, size=6, color=OBSERVED)
    _wave_axis(figure, data.seds.wave)
    return figure


def _wave_axis(figure: Any, wave: Any) -> None:  # noqa: ANN401  bokeh's
    """Give a figure ticks at round wavelengths."""
    inside = [tick for tick in _TICKS if 0.8 * wave.min() < tick < 1.25 * wave.max()]
    figure.xaxis.ticker = _models.FixedTicker(ticks=inside)
    figure.xaxis.major_label_overrides = {tick: f"{tick:g}" for tick in inside}
    figure.xgrid.visible = False
    figure.min_border_left = 62


def _history(data: ViewerData, source: Any) -> Any:  # noqa: ANN401  bokeh's
    """Return the figure of the star formation history; nothing where there is none."""
    known = data.histories
    if not known.time.size:
        return _models.Div(name="history")
    figure = _figure(
        height=230, sizing_mode="stretch_width", x_axis_type="log",
        x_axis_label="lookback time [Gyr]", y_axis_label="SFR [M☉ yr⁻¹]",
        tools="pan,wheel_zoom,reset", active_drag=None, active_scroll=None, name="history",
        toolbar_location="above",
    )  # fmt: skip
    figure.toolbar.logo = None
    figure.y_range.start = 0
    figure.varea("time", "low", "high", source=source, fill_color=MODEL, fill_alpha=0.25)
    figure.line("time", "middle", source=source, color=MODEL, line_width=2)
    figure.min_border_left = 62
    return figure


def _table(data: ViewerData, n: int) -> str:
    """Return the results of a bin as HTML: what ``viewer_bin.js`` writes for the others."""
    rows = []
    for (name, unit), quantiles in zip(data.results, data.quantiles[:, n], strict=True):
        low, middle, high = map(float, quantiles)
        cells: Sequence[str] = ("–", "", "")
        if np.isfinite(middle):
            cells = (
                f"{middle:.3f}".replace("-", "−"),
                f"−{middle - low:.3f}",
                f"+{high - middle:.3f}",
            )
        text = "".join(f"<td>{cell}</td>" for cell in (*cells, escape(unit)))
        rows.append(f'<tr><th scope="row">{escape(name)}</th>{text}</tr>')
    note = escape(data.notes[n])
    return f"<p><b>Bin {n}</b> · {note}</p>{_HEAD}{''.join(rows)}</table>"


def _painted(layer: Layer, data: ViewerData) -> NDArray[np.float32]:
    """Return a map of pixels, (y, x) float32; values of bins are put on their pixels."""
    if layer.values.ndim == 2:
        return np.array(layer.values, np.float32)
    return painted(np.asarray(layer.values, np.float32), data.bin_map)


def _colours(layer: Layer) -> list[str]:
    """Return the colours of a layer."""
    return list(getattr(palettes, layer.palette))


def _code(name: str) -> str:
    """Return the JavaScript of one reaction."""
    return files("pxdask.report").joinpath(f"viewer_{name}.js").read_text(encoding="utf-8")
