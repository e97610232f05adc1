"""Bad configs and bad downloads end in one clear message and leave nothing half-written."""

import hashlib
import http.server
import io
import json
import threading
import zipfile

import pytest
import yaml

BAD = {
    "mistyped key": ("study: {sedes: [1]}", ["study.sedes", "did you mean seeds?"]),
    "mistyped key at the top": ("devise: cpu", ["devise", "did you mean device?"]),
    "wrong type": ("study: {seeds: one}", ["study.seeds", "array"]),
    "no factors": ("methods: {mf: {k: [0]}}", ["methods.mf.k[0]", "minimum of 1"]),
    "negative regularization": ("methods: {mf: {reg: [-1]}}", ["methods.mf.reg[0]", "minimum"]),
    "unknown method": ("study: {methods: [mf, svd++]}", ["study.methods[1]", "choose from"]),
    "mistyped method": ("methods: {user-nn: {}}", ["methods.user-nn", "did you mean user-knn?"]),
    "unknown data set": ("study: {datasets: [ml-2m]}", ["ml-2m", "ml-100k"]),
    "unknown source": ("datasets: {mine: {source: floppy}}", ["datasets.mine.source", "floppy"]),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_config_is_one_message(checkout, name):
    text, told = BAD[name]
    (checkout.folder / "bad.yaml").write_text(text)
    status, output = checkout.planned("--configfile", "bad.yaml")
    assert status != 0
    for words in told:
        assert words in output
    assert len(output) < 1500
    assert "Traceback" not in output
    assert not (checkout.folder / "results").exists()


@pytest.fixture
def server(tmp_path_factory):
    """A web server on this machine: its folder, its address and the requests it saw."""
    folder = tmp_path_factory.mktemp("served")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=folder)

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def write_config(checkout, **dataset):
    config = {
        "study": {"datasets": ["mine"]},
        "datasets": {"mine": {"split": {"kind": "kfold", "folds": 3}, **dataset}},
    }
    (checkout.folder / "mine.yaml").write_text(yaml.safe_dump(config))
    return ["--configfile", "mine.yaml"]


def test_unreachable_network_is_told(checkout):
    # Port 9 of this machine: nothing listens there, so the connection is refused at once.
    config = write_config(
        checkout, source="movielens-1m", urls=[{"url": "http://127.0.0.1:9/ml-1m.zip"}]
    )
    status, output = checkout.run("ratings", *config)
    assert status != 0
    assert "http://127.0.0.1:9/ml-1m.zip" in output
    assert not (checkout.folder / "results/mine/raw").exists()


def archive_of_ratings():
    """A small archive in the layout of MovieLens 1M."""
    ratings = "".join(
        f"{user}::{item}::{1 + (user * item) % 5}::97830{user:04d}\n"
        for user in range(1, 21)
        for item in range(1, 11)
    )
    movies = "".join(f"{item}::Film {item} (1999)::Drama\n" for item in range(1, 11))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("ml-1m/ratings.dat", ratings)
        archive.writestr("ml-1m/movies.dat", movies)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "damage",
    [lambda archive: archive[:-100], lambda archive: archive.replace(b"ml-1m/r", b"ml-1m/R")],
    ids=["truncated", "altered"],
)
def test_damaged_download_is_refused_and_a_rerun_completes(checkout, server, damage):
    folder, address = server
    genuine = archive_of_ratings()
    config = write_config(
        checkout,
        source="movielens-1m",
        urls=[{"url": f"{address}/ml-1m.zip", "sha256": hashlib.sha256(genuine).hexdigest()}],
    )
    (folder / "ml-1m.zip").write_bytes(damage(genuine))
    status, output = checkout.run("ratings", *config)
    assert status != 0
    assert f"{address}/ml-1m.zip" in output
    assert hashlib.sha256(genuine).hexdigest()[:12] in output
    assert not (checkout.folder / "results/mine/raw").exists()

    (folder / "ml-1m.zip").write_bytes(genuine)
    status, output = checkout.run("ratings", *config)
    assert status == 0, output
    audit = json.loads((checkout.folder / "results/mine/ratings/audit.json").read_text())
    assert (audit["rows_read"], audit["rows_refused"]) == (200, 0)
