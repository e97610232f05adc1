"""What is known beside the ratings: the day of each, and attributes of users and items."""

import json
from pathlib import Path

import pandas as pd

from cfmf.data.attributes import read_side
from cfmf.data.formats import write_refused
from cfmf.files import atomic_write
from cfmf.side import save_side
from cfmf.workflow.job import job

with job(snakemake) as (log, params):
    ratings = pd.read_parquet(snakemake.input.ratings, columns=["user", "item", "date"])
    tables = [pd.read_parquet(snakemake.input[name]) for name in ("users", "titles")]
    raw = Path(str(snakemake.input.raw))
    side, facts, refused = read_side(raw, params.dataset, ratings, *tables)
    log.info("%s", json.dumps(facts))
    save_side(snakemake.output.side, side)
    write_refused(Path(snakemake.output.refused), refused)
    with atomic_write(snakemake.output.facts) as temporary:
        temporary.write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", "utf-8")
