"""The same results from another run, on another count of cores, after a kill, by more threads."""

import os
import re
import signal
import time

import pandas as pd
import yaml

from tests.checkout import BUT_THE_REPORT, SMALL, TIMED, Checkout


def tables(checkout):
    """Tables without a time in them, by their path below results/tiny."""
    found = checkout.results("*.tsv")
    return {name: path for name, path in found.items() if not TIMED.search(name)}


def test_results_depend_neither_on_the_run_nor_on_cores_nor_on_a_kill(undisturbed, tmp_path):
    checkout = Checkout(tmp_path)
    process = checkout.start(*SMALL)
    deadline = time.monotonic() + 300
    while not checkout.results("factorization/*/*/metrics.tsv") and time.monotonic() < deadline:
        time.sleep(0.1)
    # The whole process group, as a power cut would: no handler runs.
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    finished = {
        name: path.stat().st_mtime_ns for name, path in tables(checkout).items() if "/" in name
    }
    assert finished
    assert "report.html" not in checkout.results()
    checkout.small("--unlock")
    status, output = checkout.small(*BUT_THE_REPORT, cores=1)
    assert status == 0, output
    # It went on where it was: but for two jobs that had written and not been recorded.
    again = {
        os.path.dirname(name)
        for name, written in finished.items()
        if checkout.results()[name].stat().st_mtime_ns != written
    }
    assert len(again) <= 2
    assert checkout.digests() == undisturbed.digests()
    assert len(tables(checkout)) > 10


def test_results_agree_where_jobs_have_more_threads(undisturbed, tmp_path):
    """Sums may be taken in another order by two threads; no number of a table tells by 1e-6."""
    checkout = Checkout(tmp_path)
    more = {"threads": {"neighbours": 2, "factorization": 2}}
    (checkout.folder / "more.yaml").write_text(yaml.safe_dump(more))
    status, output = checkout.run("results/tiny/statistics/tests.tsv", *SMALL, "more.yaml")
    assert status == 0, output
    assert re.search(r"rule train_factorization:.*?threads: 2", output, re.DOTALL)
    assert re.search(r"rule tune_neighbours:.*?threads: 2", output, re.DOTALL)
    compared = tables(checkout)
    assert len(compared) > 10
    for name, path in compared.items():
        one, other = (pd.read_csv(p, sep="\t") for p in (undisturbed.results()[name], path))
        pd.testing.assert_frame_equal(one, other, check_exact=False, rtol=1e-6, atol=1e-6)
