"""The first user's first predictions by the study's two quotients, and the time of its loop."""

import pandas as pd

from cfmf.files import load_matrix
from cfmf.published.first_predictions import first_user, loop_seconds
from cfmf.tables import COLUMNS, write_table
from cfmf.workflow.job import job

with job(snakemake) as (log, params):
    train = load_matrix(snakemake.input.train)
    place = {"dataset": snakemake.wildcards.dataset, "fold": params.fold}
    write_table(snakemake.output.row, first_user(train).assign(**place), "first_user")
    seconds = loop_seconds(train)
    log.info("a loop over all users would take %.1f s", seconds)
    cost = dict.fromkeys(COLUMNS["costs"], "") | place
    cost |= {"stage": "loop", "measure": "seconds", "value": seconds}
    write_table(snakemake.output.costs, pd.DataFrame([cost]), "costs")
