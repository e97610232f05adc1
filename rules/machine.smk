"""What forecasts rest on: the machine, and the counts of data sets."""

from cfmf.data.catalogue import stated_counts
from cfmf.workflow.layout import ACROSS
from cfmf.workflow.forecast import Machine, counts_of, head

MACHINE = Machine.of_limits(
    workflow.resource_settings.cores or workflow.resource_settings.nodes,
    getattr(workflow.global_resources.get("mem_mb"), "value", None),
)


def audit_to_forecast(wildcards):
    """The audit of a data set that is parsed already, or whose counts nobody states."""
    path = result("audit", dataset=wildcards.dataset)
    stated = stated_counts(config["datasets"][wildcards.dataset])
    return [] if stated and not Path(path).exists() else path


def forecast_heads(wildcards):
    """A line on each data set: its counts, and where these are from."""
    heads = []
    for dataset in plan.datasets:
        audit = Path(result("audit", dataset=dataset))
        parsed = audit if audit.exists() else None
        counts = counts_of(config["datasets"][dataset], parsed)
        heads.append(head(dataset, counts, bool(parsed)))
    return heads
