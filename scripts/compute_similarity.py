"""Cosine similarity between the users of one fold's training ratings."""

from cfmf.files import load_matrix
from cfmf.neighbours.similarity import save_similarity, user_similarity
from cfmf.rules import job

with job(snakemake) as (log, params):
    similarity = user_similarity(
        load_matrix(snakemake.input.train),
        full_limit=int(params.settings["full_limit_mb"] * 1e6),
        top=params.settings["top"],
        threads=snakemake.threads,
    )
    kept = "all pairs" if similarity.matrix is not None else "the most similar users of each"
    log.info("similarity of %s", kept)
    save_similarity(snakemake.output.similarity, similarity)
