import bz2
import gzip
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from pxdask.core.errors import DataError
from pxdask.io import tiles
from pxdask.io.fits import write_image
from pxdask.io.tiles import close_tiles, opened
from tests.io.images import PIXELS, sky_cards


@pytest.fixture(autouse=True)
def _nothing_stays_open():
    close_tiles()
    yield
    close_tiles()


@pytest.fixture
def openings(monkeypatch):
    """Paths, as files are opened."""
    seen, true = [], fits.open

    def counted(path, **options):
        seen.append(Path(path).name)
        return true(path, **options)

    monkeypatch.setattr(fits, "open", counted)
    return seen


def section(path, rows=slice(2, 5), columns=slice(7, 20)):
    with opened(path) as tile:
        return np.array(tile.pixels[0].section[rows, columns])


def test_a_file_is_opened_once(tmp_path, openings):
    write_image(tmp_path / "a.fits", PIXELS, sky_cards())
    for _ in range(50):
        np.testing.assert_array_equal(section(tmp_path / "a.fits"), PIXELS[2:5, 7:20])
        with opened(str(tmp_path / "a.fits")) as tile:
            assert tile.tables is tile.pixels is tile.hdus
    assert openings == ["a.fits"]


def test_a_changed_file_is_opened_anew(tmp_path, openings):
    write_image(tmp_path / "a.fits", PIXELS, sky_cards())
    section(tmp_path / "a.fits")
    with opened(tmp_path / "a.fits") as tile:
        tile.whole.add(0)
        write_image(tmp_path / "a.fits", PIXELS + 1, sky_cards())
        np.testing.assert_array_equal(section(tmp_path / "a.fits"), PIXELS[2:5, 7:20] + 1)
        # the one who reads the old file goes on reading it
        np.testing.assert_array_equal(tile.pixels[0].section[2:5, 7:20], PIXELS[2:5, 7:20])
    with opened(tmp_path / "a.fits") as tile:
        assert tile.whole == set()
    assert openings == ["a.fits"] * 2


def test_the_number_of_open_files_is_bounded(tmp_path, openings, monkeypatch):
    monkeypatch.setattr(tiles, "MAX_OPEN", 3)
    for name in "abcdef":
        write_image(tmp_path / f"{name}.fits", PIXELS, sky_cards())
    descriptors = Path("/proc/self/fd")
    for name in "abcdef":
        section(tmp_path / f"{name}.fits")
        section(tmp_path / "a.fits")  # the one used all the time stays
    if descriptors.is_dir():
        names = [str(fd.readlink()) for fd in descriptors.iterdir() if fd.exists()]
        assert sum(name.startswith(str(tmp_path)) for name in names) == 3
    assert openings == [f"{name}.fits" for name in "abcdef"]
    section(tmp_path / "b.fits")
    assert openings[-1] == "b.fits"


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress)])
def test_compressed_files_are_unpacked_once_and_leave_nothing(
    tmp_path, suffix, pack, openings, monkeypatch
):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tiles.tempfile, "tempdir", str(folder))
    write_image(tmp_path / "a.fits", PIXELS, sky_cards())
    packed = tmp_path / f"a.fits{suffix}"
    packed.write_bytes(pack((tmp_path / "a.fits").read_bytes()))
    with opened(packed) as tile:
        assert tile.hdus[0].header["NAXIS1"] == 20
        assert tile.n_unpacked == 0  # not for a header
    for _ in range(5):
        np.testing.assert_array_equal(section(packed), PIXELS[2:5, 7:20])
    with opened(packed) as tile:
        assert tile.n_unpacked == (tmp_path / "a.fits").stat().st_size
    assert len(openings) == 2
    assert list(folder.iterdir()) == []


def test_unpacked_files_are_bounded(tmp_path, openings, monkeypatch):
    for name in "ab":
        write_image(tmp_path / f"{name}.fits.gz", PIXELS, sky_cards())
    monkeypatch.setattr(tiles, "MAX_UNPACKED", 2880 * 3)  # one of the two
    for name in "aaba":
        section(tmp_path / f"{name}.fits.gz")
    assert [name for name in openings if name.startswith(("a.", "b."))] == [
        "a.fits.gz",
        "b.fits.gz",
        "a.fits.gz",
    ]


def test_damaged_streams_are_told(tmp_path):
    write_image(tmp_path / "a.fits.gz", np.random.default_rng(1).normal(size=(90, 90)), sky_cards())
    content = (tmp_path / "a.fits.gz").read_bytes()
    (tmp_path / "a.fits.gz").write_bytes(content[:-8] + bytes(4) + content[-4:])  # its checksum
    with opened(tmp_path / "a.fits.gz") as tile, pytest.raises(DataError, match=r"after \d+ bytes"):
        _ = tile.pixels
    (tmp_path / "a.fits.gz").write_bytes(content[: len(content) // 2])
    with pytest.raises(OSError, match="corrupt"), opened(tmp_path / "a.fits.gz"):
        pass  # pxdask.io.fits says what is wrong with it
    with pytest.raises(FileNotFoundError), opened(tmp_path / "none.fits"):
        pass


def test_tiles_compressed_by_tiles(tmp_path, openings):
    path = tmp_path / "a.fits.fz"
    image = fits.CompImageHDU(PIXELS, compression_type="GZIP_2", quantize_level=0)
    fits.HDUList([fits.PrimaryHDU(), image]).writeto(path)
    for _ in range(3):
        with opened(path) as tile:
            np.testing.assert_array_equal(tile.pixels[1].section[3:9, 4:6], PIXELS[3:9, 4:6])
            assert isinstance(tile.tables[1], fits.BinTableHDU)
    assert len(openings) == 2


@pytest.mark.parametrize("suffix", [".fits", ".fits.fz"])
def test_a_large_mosaic_is_never_in_memory(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    large = np.zeros((4000, 5000), dtype=np.float32)  # 80 MB
    large[2000:2100, 100:200] = np.arange(100)
    hdu = fits.CompImageHDU(large) if suffix == ".fits.fz" else fits.PrimaryHDU(large)
    hdu.writeto(path)
    del hdu, large
    index = 1 if suffix == ".fits.fz" else 0
    tracemalloc.start()
    with opened(path) as tile:
        for row in range(0, 3900, 300):
            part = np.array(tile.pixels[index].section[row : row + 100, 100:200])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert part.shape == (100, 100)
    # 100 rows of compressed tiles are 2 MB, and as much again while they are scaled
    assert peak < 10e6


def test_threads_share_a_file(tmp_path):
    pixels = np.arange(300 * 200, dtype=np.float32).reshape(300, 200)
    write_image(tmp_path / "a.fits", pixels, sky_cards())
    faults = []

    def read(seed):
        rng = np.random.default_rng(seed)
        for _ in range(40):
            y, x = rng.integers(0, 190, 2)
            got = section(tmp_path / "a.fits", slice(y, y + 9), slice(x, x + 9))
            if not np.array_equal(got, pixels[y : y + 9, x : x + 9]):
                faults.append((y, x))

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
