"""Files are written whole or not at all, and damaged ones are noticed."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from cfmf.files import HOST, atomic_write, load_matrix, save_matrix, sha256, temporary_path


def test_failed_writing_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail():
        with atomic_write(path) as beside:
            beside.write_text("half")
            raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_suffix_is_kept_for_writers_that_look_at_it(tmp_path):
    with atomic_write(tmp_path / "deep" / "a.npz") as beside:
        assert beside.suffix == ".npz"
        beside.touch()
    assert (tmp_path / "deep" / "a.npz").exists()


def test_what_a_killed_writer_left_goes_with_the_next_one(tmp_path):
    path = tmp_path / "study.db"
    killed = f"""
import os, signal, sqlite3
from cfmf.files import atomic_write
with atomic_write({str(path)!r}) as beside:
    database = sqlite3.connect(beside)
    database.execute("create table trials (value)")
    database.execute("insert into trials values (1)")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", killed], check=False).returncode == -9
    assert len(list(tmp_path.iterdir())) == 2  # the database begun, and its journal
    with atomic_write(path) as beside:
        beside.touch()
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("own_process", [True, False])
def test_two_writers_of_one_path_do_not_disturb_each_other(tmp_path, own_process):
    path = tmp_path / "a.txt"
    other = f"""
from cfmf.files import atomic_write
with atomic_write({str(path)!r}) as beside:
    beside.write_text("other")
"""
    with atomic_write(path) as beside:
        beside.write_text("ha")
        if own_process:
            exec(other, {})  # noqa: S102
        else:
            subprocess.run([sys.executable, "-c", other], check=True)
        assert path.read_text() == "other"
        with open(beside, "a") as file:
            file.write("lf")
    assert path.read_text() == "half"
    assert list(tmp_path.iterdir()) == [path]


def test_what_another_machine_began_is_removed_only_when_old(tmp_path):
    path = tmp_path / "a.txt"
    names = [f".a.{host}.{os.getpid()}.0a.partial.txt" for host in (f"{HOST}-2", f"{HOST}-3", HOST)]
    begun = [tmp_path / name for name in names]
    for one in begun:
        one.touch()
    long_ago = time.time() - 2 * 86_400
    os.utime(begun[1], (long_ago, long_ago))
    temporary_path(path)
    assert sorted(tmp_path.iterdir()) == sorted([begun[0], begun[2]])


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only /proc tells of zombies")
def test_what_a_writer_began_is_removed_before_its_parent_asked_for_it(tmp_path):
    with subprocess.Popen([sys.executable, "-c", ""]) as writer:
        os.waitid(os.P_PID, writer.pid, os.WEXITED | os.WNOWAIT)  # ended, and still in the table
        begun = tmp_path / f".a.{HOST}.{writer.pid}.0a.partial.txt"
        begun.touch()
        temporary_path(tmp_path / "a.txt")
        assert not begun.exists()


def test_on_windows_no_signal_is_sent_to_a_writer(tmp_path, monkeypatch):
    monkeypatch.setattr("cfmf.files.sys.platform", "win32")
    monkeypatch.setattr("cfmf.files.os.kill", None)  # 0 is Ctrl+C there
    begun = tmp_path / f".a.{HOST}.{os.getpid()}.0a.partial.txt"
    begun.touch()
    temporary_path(tmp_path / "a.txt")
    assert begun.exists()


def test_sha256_of_known_bytes(tmp_path):
    # FIPS 180-2, appendix B.1.
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    assert sha256(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_matrix_comes_back_with_its_stored_zero(tmp_path):
    matrix = sparse.csr_array(
        (np.array([5, 0, 1.5]), np.array([2, 0, 1]), np.array([0, 2, 3])), shape=(2, 4)
    )
    save_matrix(tmp_path / "m.npz", matrix)
    back = load_matrix(tmp_path / "m.npz")
    assert back.dtype == np.float32
    assert back.shape == (2, 4)
    np.testing.assert_array_equal(back.indices, [0, 2, 1])
    np.testing.assert_array_equal(back.data, [0, 5, 1.5])


def test_damaged_matrix_is_told(tmp_path):
    path = tmp_path / "m.npz"
    save_matrix(path, sparse.csr_array(np.eye(50)))
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(ValueError, match="delete it and run again"):
        load_matrix(path)
