"""Progress in the log: what is done, of how much, and no more often than asked."""

import logging

import pytest

from cfmf import progress as module


@pytest.mark.parametrize(("every", "lines"), [(10.0, [10, 20]), (100.0, [])])
def test_lines_come_at_their_interval_and_say_how_far(monkeypatch, caplog, every, lines):
    clock = iter(range(1000))
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    caplog.set_level(logging.INFO, "cfmf.progress")
    assert list(module.progress(range(24), "fold u1: epochs", every=every)) == list(range(24))
    told = [record.getMessage() for record in caplog.records]
    assert [int(line.rsplit(" ", 2)[1]) for line in told] == lines
    assert all(line.startswith("fold u1: epochs: ") and " of 24 (" in line for line in told)


def test_what_an_earlier_process_did_counts(monkeypatch, caplog):
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    caplog.set_level(logging.INFO, "cfmf.progress")
    assert list(module.progress(range(18, 20), "sweeps", before=18)) == [18, 19]
    told = [record.getMessage() for record in caplog.records]
    assert told == ["sweeps: 18 of 20 (90%) after 10 s", "sweeps: 19 of 20 (95%) after 20 s"]
