"""Cosine similarity between the users of one fold's training ratings, and what it is good for.

The first user's first predictions, wrong and right, are those that the study printed.
"""

import time

import pandas as pd

from cfmf.files import load_matrix
from cfmf.neighbours.similarity import user_similarity
from cfmf.neighbours.stored import save_similarity
from cfmf.neighbours.study import cost_row
from cfmf.published.first_predictions import first_row, loop_seconds
from cfmf.tables import write_table
from cfmf.workflow.job import job

with job(snakemake) as (log, params):
    train = load_matrix(snakemake.input.train)
    began = time.perf_counter()
    similarity = user_similarity(
        train,
        full_limit=int(params.settings["full_limit_mb"] * 1e6),
        top=params.settings["top"],
        threads=snakemake.threads,
    )
    seconds = {"similarity": time.perf_counter() - began, "loop": loop_seconds(train)}
    kept = "all pairs" if similarity.matrix is not None else "the most similar users of each"
    log.info("similarity of %s", kept)
    save_similarity(snakemake.output.similarity, similarity)
    place = {"dataset": snakemake.wildcards.dataset, "fold": snakemake.wildcards.fold}
    write_table(snakemake.output.row, first_row(train).assign(**place), "first_row")
    costs = [
        cost_row(**place, method="user-cf-published", stage=stage, seconds=took)
        for stage, took in seconds.items()
    ]
    write_table(snakemake.output.costs, pd.DataFrame(costs), "costs")
