"""Archives that are not trusted."""

import bz2
import gzip
import io
import lzma
import random
import tarfile
import zipfile
from collections import Counter

import pyarrow as pa
import pytest

from cfmf.data import archives
from cfmf.data.archives import unpack
from tests.unit.data.hostile import packed_member, sparse_tar, zip_lzma, zip_of


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


RATINGS = b"".join(b"%d::%d::3\n" % (i % 97, i) for i in range(20_000))
PACKED = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": lambda data: pa.compress(data, codec="zstd", asbytes=True),
}


def archives_of(content):
    """The same ratings.dat in every kind of archive, by file name."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as file:
        member = tarfile.TarInfo("own/ratings.dat")
        member.size = len(content)
        file.addfile(member, io.BytesIO(content))
    made = {"a.tar": tar.getvalue()}
    for ending, pack in PACKED.items():
        made[f"ratings.dat.{ending}"] = pack(content)
        made[f"a.tar.{ending}"] = pack(tar.getvalue())
        nested = io.BytesIO()
        with zipfile.ZipFile(nested, "w") as file:
            file.writestr(f"own/ratings.dat.{ending}", pack(content))
        made[f"{ending}.zip"] = nested.getvalue()
    methods = {0: content, 12: bz2.compress(content), 14: zip_lzma(content)}
    methods[93] = PACKED["zst"](content)
    deflated = io.BytesIO()
    with zipfile.ZipFile(deflated, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("own/ratings.dat", content)
    made["method 8.zip"] = deflated.getvalue()
    for method, packed in methods.items():
        member = packed_member("own/ratings.dat", method, packed, content)
        made[f"method {method}.zip"] = zip_of(member)
    for ending, short in {"gz": "tgz", "bz2": "tbz2", "xz": "txz", "zst": "tzst"}.items():
        made[f"a.{short}"] = made[f"a.tar.{ending}"]
    made["ratings.dat.gz.xz"] = lzma.compress(gzip.compress(content))
    return made


ALL = archives_of(RATINGS)
ALTERED = 25  # of each kind


@pytest.mark.parametrize("name", ALL)
def test_every_kind_is_read(tmp_path, into, name):
    (tmp_path / name).write_bytes(ALL[name])
    unpack(tmp_path / name, wanted, into)
    assert [path.name for path in into.iterdir()] == ["ratings.dat"]
    assert (into / "ratings.dat").read_bytes() == RATINGS


def test_streams_one_after_the_other_and_padding_are_read(tmp_path, into):
    halves = RATINGS[:70_000], RATINGS[70_000:]
    for ending, pack in PACKED.items():
        path = tmp_path / f"ratings.dat.{ending}"
        padding = bytes(16) if ending == "xz" else b""
        path.write_bytes(pack(halves[0]) + padding + pack(halves[1]) + padding)
        unpack(path, wanted, into)
        assert (into / "ratings.dat").read_bytes() == RATINGS
        (into / "ratings.dat").unlink()


@pytest.mark.parametrize("old", [False, True])
def test_a_small_sparse_file_is_read(tmp_path, into, old):
    (tmp_path / "a.tar").write_bytes(sparse_tar("ratings.dat", 2000, b"1::2::3\n", old))
    unpack(tmp_path / "a.tar", wanted, into)
    assert (into / "ratings.dat").read_bytes() == b"1::2::3\n" + bytes(1992)


@pytest.mark.parametrize("name", [name for name in ALL if name != "a.tar"])
def test_every_kind_is_under_the_same_cap(tmp_path, into, name):
    """Two mebibytes of zeros in every kind, where each may have one."""
    made = archives_of(bytes(2 << 20))[name]
    (tmp_path / name).write_bytes(made)
    with pytest.raises(ValueError, match=r"would unpack to .* implausibly much"):
        unpack(tmp_path / name, wanted, into, largest=1 << 20)


def outcome(path, into):
    """`read` if all bytes come back, else the words of the refusal; anything else raises."""
    told = ""
    try:
        unpack(path, wanted, into)
    except ValueError as error:
        told = str(error)
    if told:
        assert path.name in told
        assert told.isprintable()
        return "refused"
    found = [one for one in into.iterdir() if one.name == "ratings.dat"]
    if not found:
        return "no such file"  # of a directory of names that was altered
    return "read" if found[0].read_bytes() == RATINGS else "altered"


@pytest.mark.parametrize("name", ALL)
def test_altered_archives_are_refused_or_come_back_whole(tmp_path, into, tell, name):
    """Bytes flipped, cut, doubled or inserted anywhere: never other ratings, never a raw error.

    Only plain tar and stored bytes without a checksum may come back altered.
    """
    rng, counts = random.Random(name), Counter()
    path = tmp_path / name
    for _ in range(ALTERED):
        made = bytearray(ALL[name])
        at = rng.choice([rng.randrange(len(made)), rng.randrange(min(len(made), 600))])
        match rng.choice(["flip", "cut", "double", "insert", "zero"]):
            case "flip":
                made[at] ^= 1 << rng.randrange(8)
            case "cut":
                del made[at:]
            case "double":
                made[at:at] = made[at : at + rng.randrange(1, 512)]
            case "insert":
                made[at:at] = rng.randbytes(rng.randrange(1, 9))
            case "zero":
                made[at : at + 64] = bytes(len(made[at : at + 64]))
        path.write_bytes(bytes(made))
        counts[outcome(path, into)] += 1
        for one in into.iterdir():
            one.unlink()
    assert counts.total() == ALTERED
    assert counts["altered"] == 0 or name == "a.tar" or ".zst" in name or "tzst" in name, counts
    tell(f"altered archives, {name}: {dict(counts)}")


def test_names_cannot_steer_a_terminal(tmp_path, into):
    take_all = lambda name: name  # noqa: E731
    for name in ("\x1b[2Jratings.dat", "ratings\n.dat", "\u202eratings.dat"):
        for make in (zipped, tarred):
            path = make(tmp_path / ("a.zip" if make is zipped else "a.tar.gz"), [(name, b"1")])
            with pytest.raises(ValueError, match="control characters") as error:
                unpack(path, take_all, into)
            assert str(error.value).isprintable()


def test_what_needs_too_much_memory_is_refused(tmp_path, into, monkeypatch):
    def fails(*_):
        raise MemoryError

    monkeypatch.setattr(archives, "_copy", fails)
    (tmp_path / "a.zip").write_bytes(ALL["gz.zip"])
    with pytest.raises(ValueError, match=r"a\.zip needs more memory to unpack"):
        unpack(tmp_path / "a.zip", wanted, into)
