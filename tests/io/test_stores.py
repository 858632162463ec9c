"""A published file is whole or absent, and equal content has equal bytes."""

import os
import subprocess
import sys
import textwrap

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings

from pxdask.core.errors import DamagedError, StoreError
from pxdask.io.stores import checksum, is_published, opened, publish, read


def dataset(values=(1.0, 2.0)):
    return xr.Dataset(
        {"flux": ("band", np.asarray(values), {"units": "uJy"})},
        coords={"band": ("band", [f"b{i}" for i in range(len(values))])},
        attrs={"schema": "test/1", "nested": {"a": [1, 2]}},
    )


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20, deadline=None
)
@given(hnp.arrays(np.float32, (3, 4), elements=st.floats(width=32)))
def test_round_trip(tmp_path, values):
    path = tmp_path / "a.zarr.zip"
    ds = dataset().assign(image=(("y", "x"), values))
    publish(ds, path)
    back = read(path)
    assert back.attrs == ds.attrs
    assert back["image"].dtype == np.float32
    np.testing.assert_array_equal(back["image"].values, values)
    assert list(back["band"].values) == ["b0", "b1"]


def test_equal_content_equal_bytes(tmp_path):
    for name in ("a", "b"):
        publish(dataset(), tmp_path / f"{name}.zarr.zip")
    publish(dataset((1.0, 3.0)), tmp_path / "c.zarr.zip")
    sums = [checksum(tmp_path / f"{name}.zarr.zip") for name in "abc"]
    assert sums[0] == sums[1] != sums[2]


def test_a_file_cut_short_is_noticed(tmp_path):
    path = tmp_path / "a.zarr.zip"
    publish(dataset(), path)
    assert is_published(path)
    os.truncate(path, path.stat().st_size - 30)
    assert not is_published(path)
    with pytest.raises(DamagedError, match=r"a\.zarr\.zip"):
        read(path)


@pytest.mark.parametrize("n_left", [0, 1, 21, 22, -23, -2, -1])
def test_what_is_cut_short_anywhere_is_not_published(tmp_path, n_left):
    path = tmp_path / "a.zarr.zip"
    publish(dataset(), path)
    os.truncate(path, n_left if n_left >= 0 else path.stat().st_size + n_left)
    assert not is_published(path)


def test_what_has_grown_is_not_published(tmp_path):
    path = tmp_path / "a.zarr.zip"
    publish(dataset(), path)
    with path.open("ab") as file:
        file.write(b"more")
    assert not is_published(path)


def test_a_folder_is_not_published(tmp_path):
    (tmp_path / "a.zarr.zip").mkdir()
    assert not is_published(tmp_path / "a.zarr.zip")


def test_a_flipped_byte_is_noticed(tmp_path):
    path = tmp_path / "a.zarr.zip"
    publish(dataset(np.random.default_rng(1).random(1000)), path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DamagedError, match=r"is damaged"):
        read(path)


def test_absent_file(tmp_path):
    assert not is_published(tmp_path / "none.zarr.zip")
    with pytest.raises(StoreError, match="none"), opened(tmp_path / "none.zarr.zip"):
        pass


def test_failed_write_leaves_nothing(tmp_path):
    (tmp_path / "folder").write_text("a file where a folder should be")
    with pytest.raises(StoreError, match="cannot make the folder"):
        publish(dataset(), tmp_path / "folder" / "a.zarr.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_kill_before_the_rename_leaves_no_file(tmp_path):
    code = textwrap.dedent("""
        import os, signal, sys
        from pathlib import Path
        from pxdask.core.files import write_with

        def half(path):
            path.write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)

        write_with(half, Path(sys.argv[1]))
    """)
    path = tmp_path / "out.png"
    ended = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert ended.returncode == -9
    assert not path.exists()
