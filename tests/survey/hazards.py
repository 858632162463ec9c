"""Calls that do to their workers what clusters do, and where a process notes that it was there."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path


def note(folder, name):
    """Leave a file that tells that a call began, and in which process."""
    (Path(folder) / f"{name}-{os.getpid()}-{time.monotonic_ns()}").touch()


def count(folder, name):
    """Return how often a call began."""
    return len(list(Path(folder).glob(f"{name}-*")))


def poison(folder):
    """Kill whatever carries this out."""
    note(folder, "poison")
    time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGKILL)


def work(x, folder=None, seconds=0.05):
    """Take a moment."""
    if folder is not None:
        note(folder, f"work{x}")
    time.sleep(seconds)
    return 2 * x


def join(parts, folder=None):
    """Add up what others gave."""
    if folder is not None:
        note(folder, "join")
    return sum(parts)


def hang_once(folder):
    """Hang in the first process that comes here; be quick in any other."""
    first = count(folder, "hang") == 0
    note(folder, "hang")
    if first:
        time.sleep(3600)
    return "done"


def broken(_):
    raise ValueError("no good")


def exit_with(code):
    os._exit(code)


def greedy(n_byte):
    block = bytearray(n_byte)
    block[::4096] = b"x" * len(block[::4096])
    time.sleep(30)
    return len(block)


def kill_twice_then_work(x, folder):
    """Die in the first two processes, whoever's fault it is; work in the third."""
    n_before = count(folder, "unlucky")
    note(folder, "unlucky")
    if n_before < 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * x


_SCHEDULER = """
import sys, time
from distributed import LocalCluster
if __name__ == "__main__":
    cluster = LocalCluster(
        n_workers=int(sys.argv[1]), threads_per_worker=1, host="127.0.0.1",
        dashboard_address="127.0.0.1:0", worker_dashboard_address="127.0.0.1:0",
    )
    print(cluster.scheduler_address, flush=True)
    time.sleep(600)
"""


@contextmanager
def lone_scheduler(folder, *, n_workers):
    """Give the address and the process group of a cluster that lives apart from its client."""
    script = Path(folder) / "scheduler.py"
    script.write_text(_SCHEDULER)
    process = subprocess.Popen(
        [sys.executable, script, str(n_workers)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        yield process.stdout.readline().strip(), process.pid
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
