"""Surveys that are disturbed in the middle: when to strike, and what was done twice after it."""

import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager

from tests.survey.mini import outputs

N_DONE = 4
"""Galaxies that have maps when a run is struck: it is in the middle of others then."""


def n_finished(store):
    """Return how many galaxies of a run have their last product."""
    return len(list(store.glob("galaxies/*/*/summary-*.png")))


def once(true, act):
    """Do something as soon as something is true, beside what goes on."""

    def wait():
        while not true():
            time.sleep(0.05)
        act()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def once_busy(store, strike):
    """Do something to a run when some galaxies are finished and others are under way."""
    return once(lambda: n_finished(store) >= N_DONE, strike)


def made(store):
    """Return for each task how often the manifest says that it was made."""
    text = "".join(path.read_text() for path in sorted((store / "manifest").iterdir()))
    tasks = re.findall(r'"id": "(\w+)", "stage": "(\w+)", "part": "(\w*)".*"outcome": "done"', text)
    return Counter(tasks)


def repeated(store, survey):
    """Return how much work was begun beyond what there is to do, by the logs of the galaxies."""
    text = "".join(path.read_text() for path in sorted((store / "logs").rglob("*.jsonl")))
    begun = len(re.findall(r" begins\"", text))
    found = len(re.findall(r" existed after [0-9.]+ s, key", text))
    return begun - found - survey.n_task


def check(store, survey, *, lost):
    """Check that a run is complete, notes nothing twice, and repeated what was under way at most.

    A task that is published but not noted, as its driver died in between, is noted as found.
    """
    assert outputs(store) == survey.wanted
    assert set(made(store).values()) == {1}
    assert 0 <= repeated(store, survey) <= lost


_HOLDER = """
import json, sys, time
import pxdask

with pxdask.connect("slurm", **json.loads(sys.argv[1])) as client:
    security = client.security
    facts = {
        "address": client.scheduler.address,
        "tls_ca_file": security.tls_ca_file,
        "tls_cert": security.tls_client_cert,
        "tls_key": security.tls_client_key,
    }
    print(json.dumps(facts), flush=True)
    time.sleep(600)
"""


@contextmanager
def held_cluster(options):
    """Give how to join a scheduler with workers in jobs, and the process that is the scheduler."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, json.dumps(options)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield {"timeout_s": 3, **json.loads(process.stdout.readline())}, process
    finally:
        process.send_signal(signal.SIGINT)  # which ends the block, and so the jobs
        process.wait()
        process.stdout.close()


def command(*words):
    """Return the words that start ``pxdask``."""
    return [sys.executable, "-m", "pxdask", *map(str, words)]
