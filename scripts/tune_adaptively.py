"""One method searched on the validation part of one fold; what it chose is scored on test once."""

import optuna

from cfmf.adaptive_search import Place, Tables, search
from cfmf.files import load_matrix
from cfmf.methods import registry
from cfmf.side import load_side
from cfmf.tables import write_table
from cfmf.training import Run
from cfmf.workflow.devices import of_job
from cfmf.workflow.job import job

PARTS = ("fit", "validation", "train", "test")

with job(snakemake) as (log, params):
    # Optuna's own lines go to the job's log like all others.
    optuna.logging.disable_default_handler()
    optuna.logging.enable_propagation()
    wildcards = snakemake.wildcards
    parts = {part: load_matrix(snakemake.input[part]) for part in PARTS}
    side = load_side(str(snakemake.input.side), registry.method(wildcards.method).uses)
    run = Run(wildcards.fold, params.seed, **parts)

    def searched(device: str) -> Tables:
        return search(
            wildcards.method,
            Place(wildcards.dataset, run, tuple(params.scale), snakemake.threads, device, side),
            params.settings,
            params.search,
            params.seconds,
            snakemake.output.storage,
        )

    found = of_job(snakemake, searched)
    log.info("trials: %s", found.trials["state"].value_counts().to_dict())
    for kind in Tables._fields:
        write_table(snakemake.output[kind], getattr(found, kind), kind)
