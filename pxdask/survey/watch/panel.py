"""The survey panel: a page of the Dask dashboard that shows how far a run is.

A plugin gives the scheduler's web server one more page, ``/pxdask``. The driver sends it a
summary of the run every second, so the page works for every kind of cluster and keeps what it
knew last when the driver is gone. The scheduler keeps a few kilobytes a run.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from distributed import SchedulerPlugin

from pxdask.survey.watch.tally import Summary, Tally

if TYPE_CHECKING:
    from collections.abc import Mapping

    from distributed import Client, Scheduler

    from pxdask.survey.manifest import Record

logger = logging.getLogger(__name__)

PAGE = "pxdask"
"""Path of the page on the dashboard, and its word in the dashboard's menu."""

OPERATION = "pxdask_panel"
"""Name under which the scheduler takes summaries."""

EVERY_S = 1.0
"""Time between two summaries [s]."""

RUNS_KEPT = 20
"""Runs that a scheduler remembers."""

HISTORY = 600
"""Points of the curve of finished galaxies; thinned by half when there are more."""


@dataclass(slots=True)
class WatchedRun:
    """What the scheduler knows of one run.

    Attributes
    ----------
    name, place : str
        Of the run, and of its folder.
    summary : Summary
        The newest.
    heard : float
        Unix time at which it came, by the scheduler's clock [s].
    ended : bool
        Whether the driver has said that it is done.
    history : list of (float, int)
        Unix times [s] and finished galaxies.
    """

    name: str
    place: str
    summary: Summary
    heard: float
    ended: bool = False
    history: list[tuple[float, int]] = field(default_factory=list)

    def take(self, summary: Summary, *, heard: float, ended: bool) -> None:
        """Take a newer summary; a driver that began after the last one begins a new curve."""
        if summary.started != self.summary.started:
            self.history.clear()
        self.summary, self.heard, self.ended = summary, heard, ended
        if len(self.history) >= HISTORY:
            del self.history[1::2]
        self.history.append((summary.now, summary.finished))


class SurveyPanel(SchedulerPlugin):
    """Lives in the scheduler: takes the summaries of runs and gives the page."""

    name = "pxdask-panel"
    idempotent = True

    def __init__(self) -> None:
        self.runs: dict[str, WatchedRun] = {}

    async def start(self, scheduler: Scheduler) -> None:
        """Begin to listen, and add the page if the scheduler has a dashboard."""
        scheduler.handlers[OPERATION] = self.take
        _add_page(scheduler)

    def take(
        self, name: str, place: str, summary: Mapping[str, Any], *, ended: bool = False
    ) -> None:
        """Take the summary of a run."""
        now, newest = time.time(), Summary.of(summary)
        run = self.runs.pop(place, None) or WatchedRun(name, place, newest, now)
        run.take(newest, heard=now, ended=ended)
        self.runs[place] = run  # the newest is the last
        for old in list(self.runs)[:-RUNS_KEPT]:
            del self.runs[old]


def _add_page(scheduler: Scheduler) -> None:
    """Add the page to the scheduler's dashboard, behind the same prefix."""
    try:
        from bokeh.server.tornado import BokehTornado  # noqa: PLC0415  slow; in schedulers only
        from distributed.dashboard.core import BokehApplication  # noqa: PLC0415
        from distributed.dashboard.scheduler import template_variables  # noqa: PLC0415
        from tornado.ioloop import IOLoop  # noqa: PLC0415

        from pxdask.survey.watch.panel_page import panel_page  # noqa: PLC0415
    except ImportError as error:
        logger.warning("no survey panel: %s", error)
        return
    application = scheduler.http_application
    boards = [one for one in application.applications if isinstance(one, BokehTornado)]
    if not boards:
        logger.info("no survey panel: the scheduler has no dashboard")
        return
    variables = template_variables(scheduler)
    page = BokehApplication(
        {f"/{PAGE}": panel_page},
        scheduler,
        prefix=boards[0].prefix,
        template_variables=variables,
    )
    page.initialize(IOLoop.current())
    application.add_application(page)
    page.start()
    variables["pages"].append(PAGE)


class PanelWatcher:
    """Sends the progress of a run to the panel, for as long as the block lasts.

    Watching never ends a run: a scheduler that cannot show the panel is a warning.

    Parameters
    ----------
    client : distributed.Client
        Client of the cluster.
    tally : Tally
        Counts the run's records.
    name, place : str
        Of the run, and of its folder.
    """

    def __init__(self, client: Client, tally: Tally, *, name: str, place: str) -> None:
        self._client = client
        self._tally = tally
        self._facts = {"name": name, "place": place}
        self._guard = threading.Lock()
        self._sending: Any = None

    def __enter__(self) -> Self:
        """Put the panel on the dashboard, and begin to send."""
        try:
            self._client.register_plugin(SurveyPanel())
            self._client.sync(self._send)
        except Exception as error:  # noqa: BLE001  whatever happens there, the run goes on
            logger.warning("no survey panel on the dashboard: %s", error)
        else:
            loop: Any = self._client.loop
            self._sending = asyncio.run_coroutine_threadsafe(
                self._keep_sending(), loop.asyncio_loop
            )
        return self

    def __exit__(self, *_: object) -> None:
        """Send the last summary."""
        if self._sending is None:
            return
        self._sending.cancel()
        try:
            self._client.sync(self._send, ended=True, callback_timeout=5.0)
        except Exception as error:  # noqa: BLE001  the scheduler may be gone
            logger.info("the survey panel has not heard of the end: %s", error)

    def expect(self, stage: str, count: int) -> None:
        """Expect ``count`` more tasks of a stage."""
        with self._guard:
            self._tally.expect(stage, count)

    def done(self, record: Record) -> None:
        """See one task end."""
        with self._guard:
            self._tally.note(record, now=time.time())

    async def _keep_sending(self) -> None:
        """Send a summary every second."""
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self._send()
            except Exception as error:  # noqa: BLE001  the next one may arrive
                logger.debug("the survey panel was not told: %s", error)

    async def _send(self, *, ended: bool = False) -> None:
        """Send one summary."""
        with self._guard:
            summary = self._tally.summary(now=time.time())
        send = getattr(self._client.scheduler, OPERATION)
        await send(summary=summary.values(), ended=ended, **self._facts)
