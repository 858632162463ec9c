"""What others wrote makes no file outside the store, and runs no code; nobody listens."""

import json
import pickle
import threading
import zipfile
from dataclasses import asdict

import psutil
import pytest
from numcodecs import pickles

import pxdask
from pxdask.cluster import connect
from pxdask.core.config import SurveyConfig
from pxdask.core.errors import ConfigError, PxdaskError
from pxdask.io.stores import read
from pxdask.survey.manifest import Record
from pxdask.survey.plan import Task, galaxy_folder
from tests.survey.mini import make_survey, settings

ELSEWHERE = ["../up", "..", "/abs", "a/b", "a\\b", "a\0b", ".", "", "x" * 300]
LOOPBACK = {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_no_part_of_a_task_leads_out_of_the_galaxys_folder(tmp_path, name):
    with pytest.raises(ConfigError, match="cannot be part of a file's name"):
        galaxy_folder(tmp_path, name or "/")
    words = ["g00", "image", "r", "0123456789abcdef"]
    for place in range(4):
        bad = [name if number == place else word for number, word in enumerate(words)]
        if name:
            with pytest.raises(ConfigError, match="cannot be part of a file's name"):
                Task(*bad).path(tmp_path)


@pytest.mark.parametrize("name", [name for name in ELSEWHERE if name] + ["ｒ", "nul"])
def test_bands_are_named_as_files_can_be(name):
    values = settings()
    values["bands"][0]["name"] = name
    with pytest.raises(ConfigError, match=r"bands\.0\.name: a band's name"):
        SurveyConfig.parse(values)


def test_a_catalogue_makes_no_file_outside_the_store(tmp_path):
    catalog, config = make_survey(tmp_path, 1)
    text = catalog.read_text().replace("g00", "../../g00")
    catalog.write_text(text)
    with pytest.raises(ConfigError, match=r"row 0, column id: '\.\./\.\./g00'"):
        pxdask.submit(catalog, config, tmp_path / "run", root=tmp_path, serial=True)
    assert not (tmp_path / "run").exists()


def test_a_manifest_leads_nowhere(tmp_path):
    catalog, config = make_survey(tmp_path, 1)
    bad = settings()
    bad["bands"][0]["image"] = "absent.fits"
    config.write_text(SurveyConfig.parse(bad).dump())
    run = pxdask.submit(
        catalog, config, tmp_path / "run", root=tmp_path, serial=True, progress=False, check=False
    )
    row = asdict(Record("g00", "cube", "", "../../../../secret", "done"))
    (run.store / "manifest" / "99999999999999999999-1.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(ConfigError, match="cannot be part of a file's name"):
        run.dataset("g00", "cube")


class Evil:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize(
    ("dtype", "filters", "compressor"),
    [
        ("|O", [{"id": "pickle", "protocol": 5}], None),
        ("|O", [{"id": "vlen-utf8"}, {"id": "pickle", "protocol": 5}], None),
        ("|O", [{"id": "vlen-utf8"}], {"id": "pickle", "protocol": 5}),
    ],
)
def test_a_store_with_pickles_runs_nothing(tmp_path, monkeypatch, dtype, filters, compressor):
    """Old zarr has a codec that unpickles: old zarr is not read, even where pickles are allowed."""
    monkeypatch.setattr(pickles, "ALLOW_UNSAFE_PICKLE_DECODE", True, raising=False)
    path, sign = tmp_path / "evil.zarr.zip", tmp_path / "sign"
    array = {
        "zarr_format": 2,
        "shape": [1],
        "chunks": [1],
        "dtype": dtype,
        "order": "C",
        "fill_value": None,
        "filters": filters,
        "compressor": compressor,
    }
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(".zgroup", json.dumps({"zarr_format": 2}))
        archive.writestr("x/.zarray", json.dumps(array))
        archive.writestr("x/.zattrs", json.dumps({"_ARRAY_DIMENSIONS": ["a"]}))
        archive.writestr("x/0", pickle.dumps(Evil(sign)))
    with pytest.raises(PxdaskError, match="evil"):
        read(path)
    assert not sign.exists()


@pytest.mark.slow
@pytest.mark.cluster
def test_nothing_listens_beyond_loopback_during_a_run(tmp_path):
    before = set(listening())
    catalog, config = make_survey(tmp_path, 2)
    seen, done = set(), threading.Event()

    def watch():
        while not done.wait(0.05):
            seen.update(listening())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with connect("local", workers=1) as client:
            run = pxdask.submit(
                catalog, config, tmp_path / "run", client, root=tmp_path, progress=False
            )
    finally:
        done.set()
        watcher.join()
    assert run.finished() == ["g00", "g01"]
    ours = seen - before
    assert len({port for _, port in ours}) >= 3  # scheduler, dashboard, worker
    assert {address for address, _ in ours} <= LOOPBACK


def listening():
    """Return address and port of all that this process and its children listen at."""
    this = psutil.Process()
    for process in [this, *this.children(recursive=True)]:
        try:
            sockets = process.net_connections("inet")
        except psutil.Error:  # it has ended
            continue
        yield from ((some.laddr.ip, some.laddr.port) for some in sockets if some.status == "LISTEN")
