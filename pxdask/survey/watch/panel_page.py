"""The page of the survey panel, drawn by bokeh in the scheduler; all it needs comes from there."""

from __future__ import annotations

import time
from collections import Counter
from html import escape
from typing import TYPE_CHECKING, Any

from bokeh import plotting
from bokeh.layouts import column, row
from bokeh.models import ColumnDataSource, HoverTool, InlineStyleSheet, NumeralTickFormatter
from bokeh.models.widgets.inputs import Select
from bokeh.models.widgets.markups import Div
from distributed.dashboard.components.scheduler import env

from pxdask.core.spans import span_of
from pxdask.survey.stages import STAGES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bokeh.document import Document
    from distributed import Scheduler

    from pxdask.survey.watch.panel import WatchedRun
    from pxdask.survey.watch.tally import Summary

EVERY_MS = 1000
SILENT_S = 15.0
"""Time after which a driver that has said nothing is called silent [s]."""

WORKERS_SHOWN = 500
NEWEST = "the newest run"

_figure: Any = plotting.figure
"""Its arguments are too many kinds of things for its own annotations."""

PARTS = ("done", "existed", "failed", "blocked", "running", "waiting")
COLORS = ("#2a9d5c", "#a3d9b8", "#c8372d", "#e8a09a", "#3b7dd8", "#dfe3e8")

CARD_STYLE = """
.cards { display: flex; flex-wrap: wrap; gap: 10px; font-family: sans-serif; }
.card { border: 1px solid #d5d9de; border-radius: 6px; padding: 8px 14px; min-width: 110px; }
.card b { display: block; font-size: 20px; font-weight: 600; color: #1b2733; }
.card span { font-size: 12px; color: #56616c; }
.bad b { color: #c8372d; }
h2 { font-family: sans-serif; font-size: 17px; margin: 4px 0 10px 0; color: #1b2733; }
.rows { max-height: 260px; overflow-y: auto; margin-bottom: 14px; }
table { border-collapse: collapse; width: 100%; font: 12px sans-serif; color: #1b2733; }
th { text-align: left; color: #56616c; position: sticky; top: 0; background: #fafafa; }
th, td { padding: 3px 12px 3px 0; border-bottom: 1px solid #e4e7ea; vertical-align: top; }
td { white-space: nowrap; }
td:last-child { white-space: normal; overflow-wrap: anywhere; }
h2 small { font-weight: normal; color: #56616c; font-size: 12px; }
"""

TABLES = {
    "workers": (
        "Workers",
        ("worker", "host", "threads", "CPU [%]", "memory [GB]", "doing", "seen [s] ago"),
    ),
    "newest": ("Newest galaxies", ("ended", "galaxy", "CPU time [s]")),
    "reasons": ("Why tasks failed", ("number", "reason")),
    "failures": ("Newest failures", ("ended", "galaxy", "task", "error")),
}
"""Title of each table, and the headings of its columns."""


def panel_page(scheduler: Scheduler, extra: Mapping[str, Any], doc: Document) -> None:
    """Draw the panel into a document; the dashboard calls this for each visitor."""
    page = Page(scheduler)
    page.update()
    doc.title = "pxdask survey"
    doc.add_root(page.root)
    doc.template = env.get_template("simple.html")
    doc.template_variables.update(extra)
    doc.add_periodic_callback(page.update, EVERY_MS)


class Page:
    """One visitor's page.

    Parameters
    ----------
    scheduler : distributed.Scheduler
        Where the page is served; it has the panel's plugin.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._select: Any = Select(value=NEWEST, width=380, visible=False)
        self._select.on_change("value", lambda _attr, _old, _new: self.update())
        self._head = Div(sizing_mode="stretch_width", stylesheets=_styles())
        self._sources = {
            "stages": ColumnDataSource(name="stages"),
            "history": ColumnDataSource({"time": [], "finished": []}, name="history"),
        }
        self._stages = _stage_figure(self._sources["stages"])
        self._tables = {
            name: Div(name=name, sizing_mode="stretch_width", stylesheets=_styles())
            for name in TABLES
        }
        self.root = column(
            self._select,
            self._head,
            row(
                self._stages,
                _history_figure(self._sources["history"]),
                sizing_mode="stretch_width",
            ),
            row(self._tables["workers"], self._tables["newest"], sizing_mode="stretch_width"),
            row(self._tables["reasons"], self._tables["failures"], sizing_mode="stretch_width"),
            sizing_mode="stretch_width",
        )

    def update(self) -> None:
        """Show the newest state."""
        plugin: Any = self._scheduler.plugins["pxdask-panel"]
        runs: dict[str, WatchedRun] = plugin.runs
        options: list[Any] = [NEWEST, *reversed(runs)]
        if self._select.options != options:
            self._select.options = options
            self._select.visible = len(runs) > 1
        chosen = runs.get(self._select.value) or next(reversed(runs.values()), None)
        workers = list(self._scheduler.workers.values())
        text = heading(chosen, len(workers), sum(one.nthreads for one in workers), time.time())
        _say(self._head, text)
        self._show("workers", [_worker_row(one) for one in workers[:WORKERS_SHOWN]])
        if chosen is not None:
            self._show_run(chosen)

    def _show_run(self, run: WatchedRun) -> None:
        """Show what is known of a run."""
        summary = run.summary
        executing = {} if run.ended else self._executing()
        values = stage_columns(summary, executing)
        stages = values["stage"][::-1] or list(STAGES)[::-1]
        if self._stages.y_range.factors != stages:
            self._stages.y_range.factors = stages
        self._set("stages", values)
        times = [1000.0 * when for when, _ in run.history]
        self._set("history", {"time": times, "finished": [n for _, n in run.history]})
        self._show("reasons", [(n, text) for text, n in summary.reasons])
        self._show(
            "failures",
            [
                (clock(one.ended), one.id, f"{one.stage} {one.part}".strip(), one.error)
                for one in summary.failures
            ],
        )
        self._show(
            "newest", [(clock(one.ended), one.id, f"{one.cpu_s:.2f}") for one in summary.newest]
        )

    def _executing(self) -> Counter[str]:
        """Return how many tasks of each stage are executed, by the workers' last heartbeats."""
        return Counter(
            task.prefix.name
            for worker in self._scheduler.workers.values()
            for task in worker.executing
        )

    def _show(self, name: str, rows: Sequence[Sequence[object]]) -> None:
        """Show rows in a table."""
        _say(self._tables[name], table(name, rows))

    def _set(self, name: str, values: dict[str, Any]) -> None:
        """Give a source new values, if they are new: what is sent is drawn again."""
        if self._sources[name].data != values:
            self._sources[name].data = values


def stage_columns(summary: Summary, executing: Mapping[str, int]) -> dict[str, list[Any]]:
    """Return the bars of the stages: share of each part of all tasks known, and the words.

    Parameters
    ----------
    summary : Summary
        Counts of ended and expected tasks.
    executing : mapping
        Tasks that are executed now, by stage.
    """
    columns: dict[str, list[Any]] = {name: [] for name in ("stage", *PARTS, "words", "cpu")}
    for one in summary.stages:
        ended = one.done + one.existed + one.failed + one.blocked
        running = min(executing.get(one.stage, 0), max(0, one.expected - ended))
        waiting = max(0, one.expected - ended - running)
        counts = (one.done, one.existed, one.failed, one.blocked, running, waiting)
        for part, count in zip(PARTS, counts, strict=True):
            columns[part].append(count / max(1, sum(counts)))
        words = [f"{one.done + one.existed} / {max(one.expected, ended)}"]
        words += [f"{one.failed} failed"] if one.failed else []
        words += [f"{running} running"] if running else []
        columns["stage"].append(one.stage)
        columns["words"].append(",  ".join(words))
        columns["cpu"].append(f"{one.cpu_s:.1f} s CPU, {one.seconds:.1f} s wall")
    return columns


def heading(run: WatchedRun | None, n_worker: int, n_thread: int, now: float) -> str:
    """Return the top of the page as HTML, everything from a run's files escaped."""
    workers = _card(f"{n_worker} / {n_thread}", "workers / threads")
    if run is None:
        return f"<h2>no run yet</h2><div class='cards'>{workers}</div>"
    summary = run.summary
    silent = now - run.heard
    state = "ended" if run.ended else "running"
    if not run.ended and silent > SILENT_S:
        state = f"the driver has been silent for {span_of(silent)}"
    cpu = "-" if summary.cpu_s is None else f"{summary.cpu_s / 3600:.3g}"
    seconds = "" if summary.cpu_s is None else f" ({summary.cpu_s:.3g} s)"
    cards = [
        _card(f"{summary.finished} / {summary.total}", "galaxies finished"),
        _card(str(summary.failed), "galaxies failed", bad=summary.failed > 0),
        _card(f"{summary.rate:.4g}", "galaxies an hour"),
        _card("-" if run.ended else span_of(summary.left_s, unknown="-"), "to go"),
        _card(span_of(summary.now - summary.started), "elapsed"),
        _card(cpu, f"CPU-hours a galaxy{seconds}"),
        workers,
    ]
    title = f"{escape(run.name)} <small>{escape(run.place)} &mdash; {escape(state)}</small>"
    return f"<h2>{title}</h2><div class='cards'>{''.join(cards)}</div>"


def _styles() -> list[Any]:
    """Return what gives words on the page their look."""
    return [InlineStyleSheet(css=CARD_STYLE)]


def _say(element: Any, text: str) -> None:  # noqa: ANN401  bokeh's elements declare no text
    """Give an element its text, if it is a new one: what is sent is drawn again."""
    if element.text != text:
        element.text = text


def table(name: str, rows: Sequence[Sequence[object]]) -> str:
    """Return one of `TABLES` as HTML, every cell escaped."""
    title, columns = TABLES[name]
    head = "".join(f"<th>{escape(text)}</th>" for text in columns)
    lines = ["".join(f"<td>{escape(str(cell))}</td>" for cell in cells) for cells in rows]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<h2>{title}</h2><div class='rows'><table><tr>{head}</tr>{body}</table></div>"


def _card(value: str, words: str, *, bad: bool = False) -> str:
    """Return one number with its meaning, as HTML."""
    kind = "card bad" if bad else "card"
    return f"<div class='{kind}'><b>{escape(value)}</b><span>{escape(words)}</span></div>"


def clock(unix_s: float) -> str:
    """Return the time of day of a Unix time, by the clock of this machine."""
    return time.strftime("%H:%M:%S", time.localtime(unix_s))


def _worker_row(worker: Any) -> tuple[object, ...]:  # noqa: ANN401  distributed has no types
    """Return what a worker is and does."""
    doing = [" ".join(map(str, key[:3])) for key in _keys(worker)]
    more = f" and {len(doing) - 1} more" if len(doing) > 1 else ""
    limit = f" / {worker.memory_limit / 1e9:.2f}" if worker.memory_limit else ""
    return (
        str(worker.name),
        worker.host,
        worker.nthreads,
        f"{worker.metrics.get('cpu', 0.0):.0f}",
        f"{worker.metrics.get('memory', 0) / 1e9:.2f}{limit}",
        doing[0] + more if doing else worker.status.name,
        f"{max(0.0, time.time() - worker.last_seen):.0f}",
    )


def _keys(worker: Any) -> list[tuple[object, ...]]:  # noqa: ANN401  distributed has no types
    """Return the names of a worker's tasks."""
    names = [task.key for task in worker.processing]
    return [name if isinstance(name, tuple) else (name,) for name in names]


def _stage_figure(source: ColumnDataSource) -> Any:  # noqa: ANN401  bokeh's figure has no types
    """Return a bar for each stage."""
    source.data = {name: [] for name in ("stage", *PARTS, "words", "cpu")}
    plot: Any = _figure(
        title="Tasks of each stage",
        y_range=list(STAGES)[::-1],
        x_range=(0, 1),
        height=270,
        toolbar_location=None,
        tools="",
        sizing_mode="stretch_width",
    )
    bars: list[Any] = plot.hbar_stack(
        PARTS, y="stage", height=0.72, color=COLORS, source=source, legend_label=list(PARTS)
    )
    plot.text(
        x=0.01,
        y="stage",
        text="words",
        source=source,
        text_baseline="middle",
        text_font_size="12px",
    )
    plot.add_tools(
        HoverTool(renderers=bars, tooltips=[("stage", "@stage"), ("", "@words"), ("time", "@cpu")])
    )
    plot.xaxis.formatter = NumeralTickFormatter(format="0 %")
    plot.ygrid.visible = False
    plot.legend.orientation = "horizontal"
    plot.legend.label_text_font_size = "11px"
    plot.legend.padding = 2
    plot.add_layout(plot.legend[0], "below")
    return plot


def _history_figure(source: ColumnDataSource) -> Any:  # noqa: ANN401  bokeh's figure has no types
    """Return the curve of finished galaxies over time."""
    plot: Any = _figure(
        title="Galaxies finished",
        x_axis_type="datetime",
        height=270,
        toolbar_location=None,
        tools="",
        sizing_mode="stretch_width",
    )
    plot.step(x="time", y="finished", source=source, mode="after", line_width=2, color=COLORS[0])
    plot.y_range.start = 0
    return plot
