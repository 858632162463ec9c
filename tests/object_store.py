"""An S3 server on this machine, for the tests of object stores."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager

from tests.components import need

BUCKET = "survey"
_READY_S = 60.0


@contextmanager
def s3_server():
    """Give the environment with which a bucket named `BUCKET` is found, while a server runs."""
    need("moto")
    import s3fs

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(url, server)
        _call(f"{url}/{BUCKET}", "PUT")
        s3fs.S3FileSystem.clear_instance_cache()  # which may know an earlier server
        yield {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1",
        }
    finally:
        server.terminate()
        server.wait()


@contextmanager
def environment(**values):
    """Set variables of the environment for as long as the block lasts."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value


def _call(url, method):
    """Ask our own server."""
    request = urllib.request.Request(url, method=method)  # noqa: S310  http, on loopback
    urllib.request.urlopen(request, timeout=5).close()  # noqa: S310  as above


def _wait(url, server):
    """Wait until the server answers."""
    end = time.monotonic() + _READY_S
    while time.monotonic() < end:
        assert server.poll() is None, "the S3 server ended at its start"
        try:
            _call(f"{url}/moto-api/", "GET")
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"no S3 server at {url} after {_READY_S:g} s")
