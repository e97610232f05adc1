"""Cosine similarity between the users of one fold's training ratings."""

import time

import pandas as pd

from cfmf.files import load_matrix
from cfmf.neighbours.similarity import user_similarity
from cfmf.neighbours.stored import save_similarity
from cfmf.tables import cost_row, write_table
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
    seconds = time.perf_counter() - began
    kept = "all pairs" if similarity.matrix is not None else "the most similar users of each"
    log.info("similarity of %s", kept)
    save_similarity(snakemake.output.similarity, similarity)
    place = {"dataset": snakemake.wildcards.dataset, "fold": snakemake.wildcards.fold}
    cost = cost_row(place, "similarity", seconds)
    write_table(snakemake.output.costs, pd.DataFrame([cost]), "costs")
