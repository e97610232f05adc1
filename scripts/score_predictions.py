"""Predictions of another tool: checked against the test pairs of every fold, and scored."""

import pandas as pd

from cfmf.evaluation.foreign import in_order, judge, queried_pairs, read_predictions
from cfmf.files import atomic_write, load_matrix, sha256
from cfmf.tables import write_table
from cfmf.workflow.job import folds_of, job

TABLES = {"metrics": "metrics", "settings": "selection", "costs": "costs"}

with job(snakemake) as (log, params):
    users = pd.read_parquet(snakemake.input.users)["user_id"]
    items = pd.read_parquet(snakemake.input.titles)["item_id"]
    tests, predicted = {}, {}
    files = iter(snakemake.input.files)
    for fold, paths in folds_of(snakemake, "test").items():
        tests[fold] = load_matrix(paths["test"])
        wanted = queried_pairs(tests[fold], users, items)
        of_seeds = {seed: next(files) for seed in params.seeds}
        for path in of_seeds.values():
            log.info("fold %s: %s has the SHA-256 %s", fold, path, sha256(path))
        predicted[fold] = {
            seed: in_order(read_predictions(path), wanted, path) for seed, path in of_seeds.items()
        }
    found = judge(
        snakemake.wildcards.method,
        snakemake.wildcards.dataset,
        params.seeds,
        predicted,
        tests,
        tuple(params.scale),
    )
    for row in found.metrics.query("metric == 'rmse'").itertuples():
        log.info("fold %s, seed %s: test RMSE %.4f", row.fold, row.seed, row.value)
    for kind, table in TABLES.items():
        write_table(snakemake.output[kind], getattr(found, table), table)
    with atomic_write(snakemake.output.predictions) as temporary:
        found.predictions.to_parquet(temporary, index=False)
