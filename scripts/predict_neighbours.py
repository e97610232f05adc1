"""The setting that validation chose, fitted on train; the test part is predicted once."""

from cfmf.files import written_whole
from cfmf.neighbours.study import predict_selected
from cfmf.rules import folds_of, job
from cfmf.tables import read_table, write_table

with job(snakemake) as (log, params):
    outcome = predict_selected(
        snakemake.wildcards.method,
        folds_of(snakemake, "train", "test"),
        read_table(snakemake.input.trials, "trials"),
        params.settings,
        dataset=snakemake.wildcards.dataset,
        threads=snakemake.threads,
        scale=tuple(params.scale),
    )
    for row in outcome.metrics.query("split == 'test' and metric == 'rmse'").itertuples():
        log.info("fold %s: test RMSE %.4f", row.fold, row.value)
    for kind in ("metrics", "settings", "costs"):
        write_table(snakemake.output[kind], getattr(outcome, kind), kind)
    with written_whole(snakemake.output.predictions) as beside:
        outcome.predictions.to_parquet(beside, index=False)
