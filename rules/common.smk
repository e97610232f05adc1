"""The checked config and the input functions that all stages share."""

import os
import sys
from functools import cache, partial
from importlib import metadata
from pathlib import Path

# Byte code would be written into cfmf/; compiling it anew takes a job some hundredths of a second.
sys.dont_write_bytecode = True
os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")

from snakemake.exceptions import WorkflowError

from cfmf.methods.registry import environment, method as method_named
from cfmf.workflow import devices, resources
from cfmf.workflow.config import ConfigError, check, pick, without
from cfmf.workflow.layout import INFERRED
from cfmf.workflow.plan import (
    Plan,
    area,
    filled,
    method_files,
    package_files,
    split_scheme,
)
from cfmf.workflow.provenance import command
from cfmf.workflow.resources import megabytes, minutes

# A method that a config names as module:Class may be in the config's folder or in this one.
sys.path += [os.getcwd(), *(str(Path(one).parent) for one in workflow.configfiles)]
if not workflow.modifier.skip_validation:
    try:
        check(config)
    except ConfigError as error:
        raise WorkflowError(str(error)) from None

# matplotlib keeps a list of fonts, in the user's home by default; numba what it compiled, in cfmf/.
for variable, kept in (("MPLCONFIGDIR", "matplotlib"), ("NUMBA_CACHE_DIR", "numba")):
    os.environ.setdefault(variable, str(Path(".snakemake", kept).resolve()))

plan = Plan(
    config,
    lambda **wildcards: retrieved(checkpoints.extend_search.get(**wildcards).output[0]),
)
result = plan.result
for path in plan.braced():
    raise WorkflowError(
        f"{path} has a brace, which Snakemake takes for the beginning of a wildcard;"
        " rename the folder or file"
    )


wildcard_constraints:
    dataset="|".join(plan.datasets),
    fold="|".join(sorted({fold for folds in plan.folds.values() for fold in folds})),
    method="|".join(
        dict.fromkeys([*plan.methods, *plan.blends, *plan.foreign, *plan.adaptive])
    ),
    k="[1-9][0-9]*",
    reg=rf"{INFERRED}|[0-9]+(\.[0-9]+)?",
    round="[1-9][0-9]*",


envvars:
    devices.decide_request(
        config["device"],
        getattr(workflow.global_resources.get("gpu"), "value", None),
        workflow.is_main_process,
    ),


log_of = partial(plan.job_path, "log")
benchmark_of = partial(plan.job_path, "benchmark")


def of_fold(section, name, **wildcards):
    """An input function: a result of the one fold that a section of the config names."""
    return lambda job: result(
        name, dataset=job.dataset, fold=plan.fold(section, job.dataset), **wildcards
    )


def of_first_fold(name, **wildcards):
    """An input function: a result of the data set's first fold."""
    return lambda job: result(
        name, dataset=job.dataset, fold=plan.folds[job.dataset][0], **wildcards
    )


def of_folds(name, **wildcards):
    """An input function: a result of every fold of the job's data set."""
    return lambda job: filled(
        result(name, dataset=job.dataset), fold=plan.folds[job.dataset], **wildcards
    )


def of_methods(*files):
    """An input pattern: these files of every method that is tuned in one job."""
    return filled(result("neighbours"), method=plan.in_area("neighbours"), file=files)


def of_settings(file, methods=None):
    """An input function: a file of every setting of these methods, by default of the job's."""
    return lambda job: [
        path
        for method in ([job.method] if methods is None else methods)
        for path in plan.of_method(job.dataset, method, file)
    ]


def of_points(dataset, method):
    """An input function: the metrics of every point of a method on a data set."""
    return lambda _: plan.points(dataset, "metrics.tsv", method)


def of_adaptive(*files):
    """An input function: these files of every adaptive search."""
    return of_folds("adaptive", method=plan.adaptive, file=files)


def across_datasets(*files):
    """Results of all data sets together; none where the study has only one."""
    return [result("across", file=file) for file in files if len(plan.datasets) > 1]


def fetched(wildcards):
    """The raw files of a data set of the same ratings, which need not be fetched again."""
    same = plan.same_ratings[wildcards.dataset]
    return [] if same == wildcards.dataset else result("raw", dataset=same)


# Package files, and files that a config names, are where they are: no prefix belongs to them.


def code(script, method=""):
    """A function: files that a script is made of, and those of a method or of the job's own one.

    Nothing is read for rules without a job: a cluster's jobs, each of one rule, are many.
    """
    return lambda job: files_of(script, method.format(method=job.get("method")))


@cache
def files_of(script, method):
    """Files that a script is made of, and those of a method unless its name is empty."""
    if method:
        return packaged(method_files(method, script=script))
    files = method_files(script=script)
    if not config["published"]["enabled"]:
        files = [file for file in files if "cfmf/published/" not in file]
    return packaged(files)


def local_folder(wildcards):
    """The files of a data set's local folder, so that an edit reruns what depends on them."""
    return local(plan.local_files(wildcards.dataset))


def saved_folds(wildcards):
    """The files of the folds that a data set takes from another run."""
    return local(plan.saved_folds(wildcards.dataset))


def jobs(kind):
    """A function: the `log` or `benchmark` of each job of a data set but the report's."""
    blocks = gather.neighbours("{scatteritem}")
    return lambda job: plan.jobs(kind, job.dataset, blocks)


def of_dataset(*keys):
    """A function of the wildcards: these keys of the data set's description."""
    return lambda job: pick(config["datasets"][job.dataset], *keys)


def folds_of_dataset(wildcards):
    """Names of the folds of the job's data set."""
    return plan.folds[wildcards.dataset]


def scale(wildcards):
    """Lowest and highest rating of the job's data set."""
    return plan.scale(wildcards.dataset)


def fitting_threads(wildcards):
    """Cores of a job that fits one method of either family."""
    return config["threads"][area(wildcards.method)]


def gpus(wildcards):
    """GPUs that a job requests, 0 or 1; a method whose solver cannot use one never does."""
    return int(devices.requested() and method_named(wildcards.method).on_gpu)


def labels(content):
    """What Snakemake's own report calls a file: its content, and its data set if there are several."""
    several = len(plan.datasets) > 1
    return {"content": content} | ({"data set": "{dataset}"} if several else {})
