"""Cosine similarity between the users of one fold's training ratings."""

from cfmf.files import load_matrix
from cfmf.neighbours.similarity import save_similarity, user_similarity
from cfmf.rules import job

with job(snakemake) as (log, params):
    similarity = user_similarity(load_matrix(snakemake.input.train), threads=snakemake.threads)
    save_similarity(snakemake.output.similarity, similarity)
