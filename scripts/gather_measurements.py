"""What was measured of each method, joined to one table of each kind."""

from pathlib import Path

import pandas as pd

from cfmf.evaluation.item_mean import simultaneous
from cfmf.tables import MEASURED, read_table, write_table
from cfmf.workflow.job import job

with job(snakemake) as (log, params):
    for name, kind in MEASURED.items():
        paths = [path for path in snakemake.input.tables if Path(path).stem == name]
        tables = [read_table(path, kind) for path in paths]
        full = [table for table in tables if len(table)] or tables[:1]
        joined = pd.concat(full, ignore_index=True)
        joined = simultaneous(joined) if kind == "intervals" else joined
        write_table(snakemake.output[name], joined, kind)
        log.info("%s: %d rows of %d methods", name, sum(map(len, tables)), len(full))
