"""One factorization at one (k, reg), trained on every fold with every seed."""

import shutil
from importlib.metadata import version
from pathlib import Path

from cfmf.files import atomic_write, load_matrix
from cfmf.methods import registry
from cfmf.side import load_side
from cfmf.tables import write_table
from cfmf.training import Limits, PointResult, Run, train_point
from cfmf.workflow.devices import of_job
from cfmf.workflow.job import folds_of, job

PARTS = ("fit", "validation", "train", "test")

with job(snakemake) as (log, params):
    wildcards = snakemake.wildcards
    log.info("torch %s", version("torch"))
    folds = {
        fold: {part: load_matrix(path) for part, path in paths.items()}
        for fold, paths in folds_of(snakemake, *PARTS).items()
    }
    runs = [Run(fold, seed, **parts) for fold, parts in folds.items() for seed in params.seeds]
    point = {"k": int(wildcards.k)}
    if wildcards.reg != "inferred":
        point["reg"] = float(wildcards.reg)
    found = registry.method(wildcards.method)
    side = load_side(str(snakemake.input.side), found.uses)
    [method] = found.candidates({**params.settings, **point}, tuple(params.scale), side)
    checkpoint = Path(snakemake.output.metrics).parent / "checkpoint"

    def train(device: str) -> PointResult:
        limits = Limits(device, snakemake.threads, params.seconds, checkpoint)
        return train_point(method, runs, wildcards.dataset, limits)

    result = of_job(snakemake, train)
    for row in result.metrics.query("split == 'test' and metric == 'rmse'").itertuples():
        log.info("fold %s, seed %s: test RMSE %.4f", row.fold, row.seed, row.value)
    for row in result.metrics.query("metric == 'starts' and value > 1").itertuples():
        what = f"fold {row.fold}, seed {row.seed}: {row.value:.0f} starts on {row.split}"
        log.info("%s; cfmf/convergence.py has the rules", what)
    for row in result.metrics.query("metric == 'out_of_time' and value > 0").itertuples():
        log.warning("fold %s, seed %s: its share of the tuning time ended it", row.fold, row.seed)
    for kind in ("metrics", "costs"):
        write_table(snakemake.output[kind], getattr(result, kind), kind)
    for kind in ("history", "predictions", "validation"):
        with atomic_write(snakemake.output[kind]) as temporary:
            getattr(result, kind).to_parquet(temporary, index=False)
    shutil.rmtree(checkpoint, ignore_errors=True)
