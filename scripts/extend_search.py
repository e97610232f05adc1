"""The points that the search of one method tries next, where it is not at its end."""

import pandas as pd

from cfmf.evaluation.collect import collect
from cfmf.lattice import axes
from cfmf.methods import registry
from cfmf.selection import further_points
from cfmf.tables import COLUMNS, read_table, write_table
from cfmf.workflow.job import job

with job(snakemake) as (log, params):
    metrics = collect([read_table(path, "metrics") for path in snakemake.input.metrics])
    along = axes(registry.method(snakemake.wildcards.method), params.settings)
    found = further_points(metrics, along, params.trials)
    for k, reg in found:
        log.info("next: k=%s reg=%s", k, reg or "inferred")
    points = pd.DataFrame(found, columns=COLUMNS["points"])
    write_table(snakemake.output.points, points, "points")
