"""What a store promises holds in an object store too, whatever breaks."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from contextlib import contextmanager

import numpy as np
import pytest
import xarray as xr

from pxdask.core.errors import ConfigError, DamagedError, StoreError
from pxdask.core.files import growing, write_text, write_with
from pxdask.core.remote import far, local_copy, location
from pxdask.io.stores import checksum, files_under, is_published, is_whole, publish, read
from tests.object_store import BUCKET, environment, s3_server

# boto's own tries and patience are for networks, not for tests
QUICK = {"retries": {"max_attempts": 1}, "connect_timeout": 2}
FOLDER = f"s3://{BUCKET}/unit"


@pytest.fixture(scope="module", autouse=True)
def store():
    with s3_server() as variables, environment(**variables):
        yield variables


def dataset(n=4):
    values = np.random.default_rng(1).normal(size=n)
    return xr.Dataset({"flux": ("band", values, {"units": "uJy"})}, attrs={"schema": "test/1"})


def names(folder):
    return sorted(file.path.name for file in files_under(location(folder)))


def test_same_bytes_as_on_a_disk(tmp_path):
    here, there = tmp_path / "a.zarr.zip", location(f"{FOLDER}/same/a.zarr.zip")
    assert publish(dataset(), here) == publish(dataset(), there) == checksum(there)
    assert here.read_bytes() == there.read_bytes()
    assert is_published(there)
    assert is_whole(there)
    xr.testing.assert_identical(read(here), read(there))
    assert names(f"{FOLDER}/same") == ["a.zarr.zip"]


def test_what_is_not_there():
    absent = location(f"{FOLDER}/absent/a.zarr.zip")
    assert not is_published(absent)
    with pytest.raises(StoreError, match=r"cannot read s3://survey/unit/absent/a\.zarr\.zip"):
        read(absent)
    assert names(f"{FOLDER}/absent") == []


def test_an_object_cut_short_is_noticed():
    path = location(f"{FOLDER}/cut/a.zarr.zip")
    publish(dataset(), path)
    path.write_bytes(path.read_bytes()[:-30])
    assert not is_published(path)
    assert not is_whole(path)
    with pytest.raises(DamagedError, match=r"a\.zarr\.zip is damaged"):
        read(path)
    path.write_bytes(b"")
    assert not is_published(path)


def test_a_changed_byte_is_noticed():
    path = location(f"{FOLDER}/flipped/a.zarr.zip")
    publish(dataset(1000), path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    assert is_published(path)
    assert not is_whole(path)
    with pytest.raises(DamagedError, match="is damaged"):
        read(path)


def test_a_bucket_that_is_not_there():
    path = location("s3://no-such-bucket/run/a.zarr.zip")
    with pytest.raises(StoreError, match="bucket does not exist"):
        publish(dataset(), path)


def test_a_store_that_does_not_answer():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{probe.getsockname()[1]}"
    path = far(location(f"{FOLDER}/silent.txt"))
    silent = type(path)(
        str(path), use_listings_cache=False, endpoint_url=nobody, config_kwargs=QUICK
    )
    with pytest.raises(StoreError, match="cannot write"):
        write_text("x", silent)
    with pytest.raises(StoreError, match="cannot read"), local_copy(silent):
        pass


def test_a_store_that_does_not_answer_at_all(store):
    port = int(store["AWS_ENDPOINT_URL"].rpartition(":")[2])
    with cutting_proxy(port, after=1) as cut:
        import s3fs

        s3fs.S3FileSystem.clear_instance_cache()
        with (
            environment(AWS_ENDPOINT_URL=f"http://127.0.0.1:{cut}", AWS_MAX_ATTEMPTS="1"),
            pytest.raises(StoreError, match="cannot reach s3://survey/x"),
        ):
            location(f"s3://{BUCKET}/x")
        s3fs.S3FileSystem.clear_instance_cache()


def test_a_failed_writer_sends_nothing():
    path = location(f"{FOLDER}/failed/a.txt")

    def half(part):
        part.write_text("half")
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        write_with(half, path)
    assert names(f"{FOLDER}/failed") == []


@contextmanager
def cutting_proxy(port, *, after):
    """Listen on a port of its own; cut every connection that has sent more bytes than this."""
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(source, target, left):
        try:
            while block := source.recv(min(65536, left)):
                target.sendall(block)
                left -= len(block)
                if left <= 0:
                    break
        except OSError:
            pass
        for end in (source, target):
            end.close()

    def serve():
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", port))
            for args in ((client, server, after), (server, client, 1 << 40)):
                threading.Thread(target=pump, args=args, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()


def test_an_interrupted_upload_leaves_nothing(store):
    port = int(store["AWS_ENDPOINT_URL"].rpartition(":")[2])
    path = far(location(f"{FOLDER}/interrupted/a.bin"))
    with cutting_proxy(port, after=300_000) as cut:
        torn = type(path)(
            str(path),
            use_listings_cache=False,
            endpoint_url=f"http://127.0.0.1:{cut}",
            config_kwargs=QUICK,
        )
        write_text("short", torn.with_name("short.txt"))
        with pytest.raises(StoreError, match="cannot write"):
            write_text("x" * 1_000_000, torn)
    assert names(f"{FOLDER}/interrupted") == ["short.txt"]


def test_a_writer_killed_in_mid_write_leaves_nothing(tmp_path):
    code = textwrap.dedent("""
        import os, signal, sys
        from pxdask.core.files import write_with
        from pxdask.core.remote import location

        def half(part):
            part.write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)

        write_with(half, location(sys.argv[1]))
    """)
    command = [sys.executable, "-c", code, f"{FOLDER}/killed/a.txt"]
    ended = subprocess.run(command, check=False, env={**os.environ, "TMPDIR": str(tmp_path)})
    assert ended.returncode == -signal.SIGKILL
    assert names(f"{FOLDER}/killed") == []


def test_lines_that_grow(monkeypatch):
    monkeypatch.setattr("pxdask.core.remote._PAUSE_S", 3600.0)
    path = location(f"{FOLDER}/grow/run.jsonl")
    lines = growing(path)
    lines.write("1\n")
    lines.flush()
    assert names(f"{FOLDER}/grow") == ["run-000000.jsonl"]
    for i in range(2, 5):
        lines.write(f"{i}\n")
        lines.flush()
    assert len(names(f"{FOLDER}/grow")) == 1
    lines.close()
    text = "".join(p.read_text() for p in sorted(path.parent.glob("*.jsonl")))
    assert text == "1\n2\n3\n4\n"


def test_where_text_points(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert location("run") == location(f"file://{tmp_path}/run") == tmp_path.resolve() / "run"
    assert far(location("run")) is None
    there = location(f"{FOLDER}/x")
    assert location(there) is there
    assert str(there / "y") == f"{FOLDER}/x/y"
    with pytest.raises(ConfigError, match=r"cannot use gopher://a/b.*remote"):
        location("gopher://a/b")
