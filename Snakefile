"""User-based collaborative filtering against matrix factorization, from raw bytes to a verdict."""

from snakemake.utils import min_version

min_version("9.27")


configfile: workflow.current_basedir.join("config.yaml").get_path_or_uri(True)


report: "report/workflow.rst"


include: "rules/common.smk"


container: config["container"]


include: "rules/storage.smk"
include: "rules/scoring.smk"
include: "rules/data.smk"
include: "rules/matrices.smk"
include: "rules/neighbours.smk"
include: "rules/factorization.smk"
include: "rules/adaptive.smk"
include: "rules/blend.smk"
include: "rules/foreign.smk"
include: "rules/evaluation.smk"
include: "rules/statistics.smk"
include: "rules/report.smk"
include: "rules/winner.smk"
include: "rules/machine.smk"
include: "rules/forecast.smk"


if config["published"]["enabled"]:

    include: "rules/published.smk"


EVERY_POINT = [
    of_points(dataset, method)
    for dataset in plan.datasets
    for method in plan.in_area("factorization")
]


# One target a stage: `snakemake ratings` stops after the audit, and so on down the study.


rule ratings:
    input:
        plan.studied("audit"),
        plan.studied("ratings"),


rule folds:
    input:
        plan.studied("folds"),
        plan.studied("fold_rows"),
        plan.studied("fold_table", format="csv"),


rule matrices:
    input:
        plan.studied("matrix", part=PARTS),


rule similarity:
    input:
        plan.studied("similarity"),


rule neighbours:
    input:
        plan.studied(
            "neighbours", method=plan.in_area("neighbours"), file="metrics.tsv"
        ),


rule factorization:
    input:
        EVERY_POINT,


rule blends:
    input:
        plan.studied("blend", method=[*plan.blends], file="metrics.tsv"),


rule evaluation:
    input:
        plan.studied("evaluation", table="metrics"),
        plan.studied("evaluation", table="cold_start"),
        plan.studied("evaluation", table="scaling")
        if config["evaluation"]["scaling"]["enabled"]
        else [],


rule statistics:
    input:
        plan.studied("statistics", table="tests"),
        across_datasets("tests.tsv"),


# Models to use; the study does without them.


rule model:
    input:
        plan.studied("model", method=plan.methods),


rule winner:
    input:
        plan.studied("winner"),
        of_winner("model"),


rule predictions:
    input:
        of_winner("asked", file=["predictions.parquet", "predictions.csv"]),


rule recommendations:
    input:
        of_winner("asked", file=["recommendations.parquet", "recommendations.csv"]),


# The report asks for most of this, but only while it is made: what is lost later is asked for here.
rule all:
    default_target: True
    input:
        plan.studied("report"),
        plan.studied("report_static"),
        rules.ratings.input,
        plan.studied("folds"),
        plan.studied("fold_rows"),
        rules.matrices.input,
        rules.similarity.input if plan.compares_users else [],
        rules.neighbours.input,
        EVERY_POINT,
        rules.blends.input,
        rules.evaluation.input,
        rules.statistics.input,


onstart:
    from cfmf.workflow.retained import retain_raw_files

    # After every look at the waiting jobs, the limit of jobs started in a time has them looked at
    # again, once more for every job that has ended. Cores bound a local run; a cluster keeps it.
    if workflow.local_exec:
        workflow.scheduler.job_rate_limiter = None
    refuse_rescoring(workflow.dag.needrun_jobs())
    retain_raw_files(
        {name: config["datasets"][name] for name in plan.datasets}, plan.folder
    )


onsuccess:
    print(
        "Done.",
        *(f"Open {page}" for page in plan.studied("report") if Path(page).exists()),
    )


onerror:
    print(
        "The study stopped. The lines above name the rule and its log; fix what it reports and run"
        " the same command again: finished jobs are not repeated."
    )
