"""From the config to the code for GPUs, which runs on the CPU here."""

import numpy as np
import pandas as pd
import pytest

METHOD = """
device: cuda
study: {methods: [baseline, user-knn]}
methods: {user-knn: {similarity: [cosine], neighbours: [20, 40], shrinkage: [50]}}
published: {enabled: false}
"""
MEASURED = "results/tiny/evaluation/measured"


@pytest.mark.slow
def test_neighbours_reach_the_torch_path_and_agree_with_the_kernels(checkout):
    """`device: cuda` leads to the same predictions by other code; on "cpu:0", for want of a GPU."""
    (checkout.folder / "mine.yaml").write_text(METHOD)
    devices = checkout.folder / "cfmf/workflow/devices.py"
    text = devices.read_text()
    for line, other in {
        "    check_cuda()\n": "",
        "torch.cuda.get_device_name()": "'made up'",
        'return work("cuda")': 'return work("cpu:0")',
    }.items():
        assert text.count(line) == 1, line
        text = text.replace(line, other)
    devices.write_text(text)
    targets = [f"{MEASURED}/{method}/ranking.tsv" for method in ("user-knn", "baseline")]
    found = []
    for device in ("cpu", "cuda"):
        arguments = (
            "--configfile",
            "config/tiny.yaml",
            "mine.yaml",
            "--config",
            f"device={device}",
        )
        status, output = checkout.run(*targets, *arguments)
        assert status == 0, output
        predictions = pd.read_parquet(
            checkout.folder / "results/tiny/neighbours/user-knn/predictions.parquet"
        )
        found.append(predictions["prediction"].to_numpy())
        logs = {name: path.read_text() for name, path in checkout.results("logs/**/*.log").items()}
        for rule in ("tune_neighbours", "predict_neighbours", "measure_method"):
            of_user, of_baseline = (logs[f"logs/{rule}/{x}.log"] for x in ("user-knn", "baseline"))
            assert ("computing on GPU" in of_user) == (device == "cuda"), rule
            assert "computing on the CPU" in of_baseline
    np.testing.assert_allclose(found[1], found[0], atol=1e-4)
    assert (found[0] != found[1]).any()
