"""Time of a fit of every method against ratings, users and factors, and the fitted exponents."""

import pandas as pd

from cfmf.evaluation.fitting import Setting
from cfmf.evaluation.scaling import exponents, limited, measure
from cfmf.files import load_matrix
from cfmf.methods import registry
from cfmf.selection import read_selection
from cfmf.side import load_side
from cfmf.tables import write_table
from cfmf.workflow.job import job

with job(snakemake) as (log, params):
    seed, options = params.evaluation["seed"], params.evaluation["scaling"]
    matrices = (load_matrix(path) for path in (snakemake.input.train, snakemake.input.test))
    train, test = matrices
    users = limited(train, options["ratings"], seed)
    train, test = train[users], test[users]
    chosen = read_selection(snakemake.input.settings)
    chosen = chosen[chosen["fold"] == params.fold].set_index("method", drop=False)
    tables = []
    for method in params.methods:
        row, block = chosen.loc[method].to_dict(), params.settings[method]
        side = load_side(str(snakemake.input.side), registry.method(method).uses)
        setting = Setting.of(row, block, tuple(params.scale), snakemake.threads, side)
        tables.append(measure(setting.of_users(users), train, test, options["k"], seed))
        log.info("%s: %.1f s in all its samples", method, tables[-1]["seconds"].sum())
    timings = pd.concat(tables, ignore_index=True)
    write_table(snakemake.output.timings, timings, "timings")
    write_table(snakemake.output.scaling, exponents(timings), "scaling")
