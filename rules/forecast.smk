"""What a study will take, before it is run."""

from cfmf.tables import read_table
from cfmf.workflow.forecast import Machine, counts_of, head, text

MACHINE = Machine.of_limits(
    workflow.resource_settings.cores or workflow.resource_settings.nodes,
    getattr(workflow.global_resources.get("mem_mb"), "value", None),
)


def audit_to_forecast(wildcards):
    """The audit of a data set that is parsed already, or whose counts nobody states."""
    path = result("audit", dataset=wildcards.dataset)
    stated = stated_counts(config["datasets"][wildcards.dataset])
    return [] if stated and not Path(path).exists() else path


def print_forecast(paths):
    """Print the forecasts of all data sets."""
    heads = []
    for dataset in plan.datasets:
        audit = Path(result("audit", dataset=dataset))
        parsed = audit if audit.exists() else None
        heads.append(
            head(dataset, counts_of(config["datasets"][dataset], parsed), bool(parsed))
        )
    print(text([read_table(path, "forecast") for path in paths], heads, MACHINE))


rule forecast_costs:
    input:
        audit=audit_to_forecast,
        costs=local(package_files("cfmf/workflow/costs.tsv")),
        code=code("forecast_costs"),
    output:
        forecast=result("forecast"),
    log:
        log_of("forecast_costs"),
    benchmark:
        benchmark_of("forecast_costs")
    localrule: True
    conda:
        "../envs/evaluation.yaml"
    resources:
        mem_mb=megabytes(500, 0),
        runtime=minutes(10, 0),
    params:
        config=config,
        cores=MACHINE.cores,
        memory_mb=MACHINE.memory_mb,
        blocks=BLOCKS,
    script:
        "../scripts/forecast_costs.py"
