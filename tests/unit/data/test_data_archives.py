"""Archives that are not to be trusted."""

import gzip
import io
import stat
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


@pytest.mark.parametrize(
    "name", ["../ratings.dat", "/ratings.dat", "a/../../ratings.dat", "..\\ratings.dat", "C:x"]
)
@pytest.mark.parametrize("make", [zipped, tarred])
def test_a_path_that_leads_out_is_refused(tmp_path, into, make, name):
    path = make(tmp_path / ("a.zip" if make is zipped else "a.tar.gz"), [(name, b"1")])
    with pytest.raises(ValueError, match="leads out of its folder"):
        unpack(path, wanted, into)
    assert not list(into.iterdir())
    assert not (tmp_path / "ratings.dat").exists()


def test_a_member_that_packs_too_well_is_a_bomb(tmp_path, into):
    path = zipped(tmp_path / "a.zip", [("ratings.dat", bytes(30 << 20))])
    with pytest.raises(ValueError, match=r"ratings\.dat would unpack to 31,457,280 bytes"):
        unpack(path, wanted, into)


def test_a_gzip_bomb_stops_early(tmp_path, into):
    (tmp_path / "ratings.dat.gz").write_bytes(gzip.compress(bytes(30 << 20)))
    with pytest.raises(ValueError, match="too much"):
        unpack(tmp_path / "ratings.dat.gz", wanted, into)


@pytest.mark.parametrize("make", [zipped, tarred])
def test_members_may_not_be_larger_than_the_cap_together(tmp_path, into, make):
    path = tmp_path / ("a.zip" if make is zipped else "a.tar.gz")
    make(path, [("ratings.dat", b"x" * 600), ("movies.dat", b"y" * 600)])
    with pytest.raises(ValueError, match=r"movies\.dat would unpack to 1,200 bytes"):
        unpack(path, wanted, into, largest=1000)


def test_a_zip_that_declares_less_than_it_holds_is_refused(tmp_path, into):
    path = zipped(tmp_path / "a.zip", [("ratings.dat", b"12345678" * 100)], zipfile.ZIP_STORED)
    data = path.read_bytes()
    path.write_bytes(data.replace((800).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    with pytest.raises(ValueError, match="damaged or no archive"):
        unpack(path, wanted, into)


def test_links_and_devices_are_refused(tmp_path, into):
    link = zipfile.ZipInfo("ratings.dat")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr(link, "/etc/passwd")
    with pytest.raises(ValueError, match="is a link"):
        unpack(tmp_path / "a.zip", wanted, into)
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE):
        member = tarfile.TarInfo("ratings.dat")
        member.type, member.linkname = kind, "/etc/passwd"
        with tarfile.open(tmp_path / "a.tar", "w") as file:
            file.addfile(member)
        with pytest.raises(ValueError, match="no plain file"):
            unpack(tmp_path / "a.tar", wanted, into)


def test_two_members_of_one_place_are_refused(tmp_path, into):
    path = zipped(tmp_path / "a.zip", [("a/ratings.dat", b"1"), ("b/ratings.dat", b"2")])
    with pytest.raises(ValueError, match=r"holds ratings\.dat twice"):
        unpack(path, wanted, into)


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "ratings.dat.gz"])
@pytest.mark.parametrize("damage", ["cut", "altered", "text", "empty"])
def test_a_damaged_archive_is_told(tmp_path, into, name, damage):
    noise = bytes(range(256)) * 40
    path = tmp_path / name
    if name == "a.zip":
        zipped(path, [("ratings.dat", noise)])
    elif name == "a.tar.gz":
        tarred(path, [("ratings.dat", noise)])
    else:
        path.write_bytes(gzip.compress(noise))
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 8] = bytes(byte ^ 0xFF for byte in data[middle : middle + 8])
    changed = {"cut": path.read_bytes()[:-40], "altered": data, "text": b"<html>no</html>"}
    path.write_bytes(changed.get(damage, b""))
    with pytest.raises(ValueError, match=r"damaged or no archive|refused"):
        unpack(path, wanted, into)
