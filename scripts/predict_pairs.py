"""What a model predicts of the pairs that the config names, with intervals."""

from cfmf.inputs import read_pairs
from cfmf.saved import load
from cfmf.tables import write_rows
from cfmf.workflow.job import job

with job(snakemake) as (log, params):
    model = load(snakemake.input.model)
    pairs = read_pairs(str(snakemake.input.pairs))
    table = model.predict(pairs["user"], pairs["item"], params.coverage)
    log.info("%d pairs, %d by a fallback", len(table), table["is_fallback"].sum())
    for path in snakemake.output:
        write_rows(path, table)
