"""Archives that are not trusted."""

import gzip
import io
import tarfile
import zipfile

import pytest

from cfmf.data.archives import unpack


def wanted(name):
    return name if name in ("ratings.dat", "movies.dat") else None


@pytest.fixture
def into(tmp_path):
    folder = tmp_path / "into"
    folder.mkdir()
    return folder


def zipped(path, members, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in members:
            file.writestr(name, content)
    return path


def tarred(path, members, mode="w:gz"):
    with tarfile.open(path, mode) as file:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
    return path


@pytest.mark.parametrize("kind", ["a.zip", "a.tar.gz", "a.tar"])
def test_only_wanted_members_are_unpacked_without_their_folders(tmp_path, into, kind):
    members = [("ml-1m/ratings.dat", b"1::2"), ("ml-1m/README", b"x"), ("movies.dat", b"3")]
    make = zipped if kind.endswith("zip") else tarred
    options = {"mode": "w"} if kind == "a.tar" else {}
    unpack(make(tmp_path / kind, members, **options), wanted, into)
    found = {path.name: path.read_bytes() for path in into.iterdir()}
    assert found == {"ratings.dat": b"1::2", "movies.dat": b"3"}


def test_gzip_file_is_unpacked_under_its_own_name(tmp_path, into):
    (tmp_path / "ratings.dat.gz").write_bytes(gzip.compress(b"1::2"))
    unpack(tmp_path / "ratings.dat.gz", wanted, into)
    assert (into / "ratings.dat").read_bytes() == b"1::2"


@pytest.mark.parametrize("kind", ["a.zip", "a.tar.bz2", "a.tar.xz"])
def test_a_name_with_a_colon_is_no_escape(tmp_path, into, kind):
    members = [("own/notes 12:30.txt", b"x"), ("own/ratings.dat", b"1::2")]
    mode = f"w:{kind.rpartition('.')[2]}"
    path = tmp_path / kind
    unpack(zipped(path, members) if kind == "a.zip" else tarred(path, members, mode), wanted, into)
    assert [path.name for path in into.iterdir()] == ["ratings.dat"]


@pytest.mark.parametrize("make", [zipped, tarred])
def test_members_may_not_be_larger_than_the_cap_together(tmp_path, into, make):
    path = tmp_path / ("a.zip" if make is zipped else "a.tar.gz")
    make(path, [("ratings.dat", b"x" * 600), ("movies.dat", b"y" * 600)])
    with pytest.raises(ValueError, match=r"movies\.dat would unpack to 1,200 bytes"):
        unpack(path, wanted, into, largest=1000)
