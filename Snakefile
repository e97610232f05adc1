"""User-based collaborative filtering against matrix factorization, from raw bytes to a verdict."""

from snakemake.utils import min_version

min_version("9.27")


configfile: "config.yaml"


report: "report/workflow.rst"


include: "rules/common.smk"
include: "rules/data.smk"
include: "rules/matrices.smk"
include: "rules/neighbours.smk"
include: "rules/factorization.smk"
include: "rules/search.smk"
include: "rules/evaluation.smk"
include: "rules/statistics.smk"
include: "rules/report.smk"


# One target a stage: `snakemake ratings` stops after the audit, and so on down the study.


rule ratings:
    input:
        studied("ratings/audit.json"),
        studied("ratings/ratings.parquet"),


rule folds:
    input:
        studied("folds/folds.json"),
        studied("folds/folds.npz"),


rule matrices:
    input:
        [path for part in PARTS for path in studied(f"matrices/{{fold}}/{part}.npz")],


rule similarity:
    input:
        studied("similarity/{fold}.npz"),


rule neighbours:
    input:
        studied("neighbours/{method}/metrics.tsv", methods=methods("neighbours")),


rule factorization:
    input:
        trained_points("metrics.tsv"),


rule evaluation:
    input:
        studied("evaluation/metrics.tsv"),
        studied("evaluation/cold_start.tsv"),
        studied("evaluation/scaling.tsv")
        if config["evaluation"]["scaling"]["enabled"]
        else [],


rule statistics:
    input:
        studied("statistics/tests.tsv"),
        across_datasets("tests.tsv"),


# The report asks for most of this, but only while it is made: what is lost later is asked for here.
rule all:
    default_target: True
    input:
        studied("report.html"),
        studied("report-static.html"),
        studied("report-figures.html"),
        rules.ratings.input,
        rules.folds.input,
        rules.matrices.input,
        rules.similarity.input,
        rules.neighbours.input,
        rules.factorization.input,
        rules.evaluation.input,
        rules.statistics.input,


onsuccess:
    print(
        "Done.",
        *(f"Open {page}" for page in studied("report.html") if Path(page).exists()),
    )


onerror:
    print(
        "The study stopped. The lines above name the rule and its log; mend what it says and run"
        " the same command again: finished jobs are not repeated."
    )
