"""The checked config, the wildcards and the input functions that all stages share."""

import os
import sys
from importlib import metadata
from pathlib import Path

# Byte code would be written beside cfmf/; compiling it anew takes a job some hundredths of a second.
sys.dont_write_bytecode = True
os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")

from snakemake.exceptions import WorkflowError
from snakemake.io import strip_wildcard_constraints
from snakemake.utils import validate

from cfmf.config import (
    complaint,
    environment,
    module_of,
    on_gpu,
    points,
    registry,
    same_ratings,
    seconds_a_run,
    track,
)
from cfmf.data.catalogue import local_files
from cfmf.data.splits import fold_names
from cfmf.devices import has_gpu
from cfmf.imports import imported_files
from cfmf.workflow.provenance import command

try:
    validate(config, "../schemas/config.schema.yaml")
except WorkflowError as error:
    if not hasattr(error.__context__, "absolute_path"):
        raise
    raise WorkflowError(
        f"The config does not hold: {complaint(error.__context__)}."
        " config/README.md explains every key."
    ) from None

# matplotlib keeps a list of fonts, in the user's home unless told; numba what it compiled, in cfmf/.
for variable, kept in (("MPLCONFIGDIR", "matplotlib"), ("NUMBA_CACHE_DIR", "numba")):
    os.environ.setdefault(variable, str(Path(".snakemake", kept).resolve()))

DATASETS = config["study"]["datasets"]
METHODS = config["study"]["methods"]
SEARCHED = config["tuning"]["search"]["methods"]
if not config["tuning"]["search"]["enabled"]:
    SEARCHED = []
FAMILY = registry()

for name in DATASETS:
    if name not in config["datasets"]:
        raise WorkflowError(
            f"study.datasets names {name}, which datasets does not describe:"
            f" add it there, or choose from {', '.join(config['datasets'])}."
        )

SAME_RATINGS = same_ratings({name: config["datasets"][name] for name in DATASETS})
FOLDS = {name: fold_names(config["datasets"][name]["split"]) for name in DATASETS}


wildcard_constraints:
    dataset="|".join(DATASETS),
    fold="|".join(sorted({fold for folds in FOLDS.values() for fold in folds})),
    method="|".join(dict.fromkeys([*METHODS, *SEARCHED])),
    k="[1-9][0-9]*",
    reg=r"inferred|[0-9]+(\.[0-9]+)?",


def methods(family):
    """The study's methods of one family, in the order of the config."""
    return [method for method in METHODS if FAMILY[method] == family]


def studied(path, methods=("",)):
    """A path below results/{dataset}/ for every data set, fold and method of the study."""
    return [
        f"results/{dataset}/{filled}"
        for dataset in DATASETS
        for method in methods
        for filled in dict.fromkeys(
            path.format(fold=fold, method=method) for fold in FOLDS[dataset]
        )
    ]


def chosen_fold(section):
    """A function of the wildcards: the one fold that a section of the config names, or the first."""

    def found(wildcards):
        folds = FOLDS[wildcards.dataset]
        fold = config[section]["fold"] or folds[0]
        if fold not in folds:
            raise WorkflowError(
                f"{section}.fold is {fold}; choose from {', '.join(folds)}."
            )
        return fold

    return found


def of_fold(section, path):
    """An input function: one path below results/{dataset}/ for that fold."""
    return lambda wildcards: expand(
        f"results/{wildcards.dataset}/{path}", fold=chosen_fold(section)(wildcards)
    )


def of_folds(path):
    """An input function: one path below results/{dataset}/ for every fold of that data set."""
    return lambda wildcards: expand(
        f"results/{wildcards.dataset}/{path}", fold=FOLDS[wildcards.dataset]
    )


def of_methods(path, family):
    """An input pattern: one path below results/{dataset}/ for every method of a family."""
    return expand(f"results/{{{{dataset}}}}/{path}", method=methods(family))


def of_searches(*kinds):
    """An input function: these tables of every search of `tuning.search`."""
    return lambda wildcards: expand(
        f"results/{wildcards.dataset}/search/{{method}}/{{fold}}/{{kind}}.tsv",
        method=SEARCHED,
        fold=FOLDS[wildcards.dataset],
        kind=kinds,
    )


def of_points(path):
    """An input pattern: a path below every (method, k, reg) of the factorization family."""
    return [
        f"results/{{dataset}}/factorization/{method}/k~{k}_reg~{reg}/{path}"
        for method in methods("factorization")
        for k, reg in points(config["methods"][method])
    ]


def of_method(path, family=""):
    """An input function: a path below every setting of the job's method.

    With a `family`, nothing for methods of another one.
    """

    def found(wildcards):
        method = wildcards.method
        if family and FAMILY[method] != family:
            return []
        folders = [f"neighbours/{method}"]
        if FAMILY[method] == "factorization":
            folders = [
                f"factorization/{method}/k~{k}_reg~{reg}"
                for k, reg in points(config["methods"][method])
            ]
        return [f"results/{wildcards.dataset}/{folder}/{path}" for folder in folders]

    return found


def fitting_threads(wildcards):
    """Cores of a job that fits one method of either family."""
    return config["threads"][FAMILY[wildcards.method]]


def trained_points(path):
    """`of_points` for every data set of the study."""
    return [
        pattern.format(dataset=name) for name in DATASETS for pattern in of_points(path)
    ]


def code(script, method=""):
    """Files of the package that a script uses, and those of a method or of the job's own one."""
    path = f"scripts/{script}.py"
    if not method:
        return imported_files(path)
    return lambda wildcards: imported_files(
        path, module_of(method.format(method=wildcards.get("method")))
    )


def method_code(method):
    """Files of the package that one method needs."""
    return imported_files(module_of(method))


def scale(wildcards):
    """Least and greatest rating of a data set."""
    scale = config["datasets"][wildcards.dataset]["scale"]
    return [scale["minimum"], scale["maximum"]]


def files_below(*folders):
    """Every file below some folders of the repository."""
    return sorted(
        str(path)
        for folder in folders
        for path in Path(folder).rglob("*")
        if path.is_file()
    )


def across_datasets(*names):
    """Results of all data sets together; there are none where the study has but one."""
    several = len(DATASETS) > 1
    return [f"results/across_datasets/{name}" for name in names if several]


def fetched(wildcards):
    """The raw files of a data set of the same ratings, which need not be fetched again."""
    same = SAME_RATINGS[wildcards.dataset]
    return [] if same == wildcards.dataset else f"results/{same}/raw"


def local(wildcards):
    """The files of a data set's local folder, so that an edit reruns what depends on them."""
    dataset = config["datasets"][wildcards.dataset]
    if fetched(wildcards):
        return []
    return [str(path) for path in local_files(dataset) if path.is_file()]


def saved_folds(wildcards):
    """The files of the folds that a data set takes from another run."""
    split = config["datasets"][wildcards.dataset]["split"]
    folder = Path(split["folder"]).expanduser()
    saved = [str(folder / name) for name in ("folds.json", "folds.npz")]
    return saved if split["kind"] == "saved" else []


def job_measurements(wildcards):
    """Snakemake's measurements of the jobs that this study makes of a data set.

    Their folder may hold more: those of another config.
    """
    switched = {
        "search_published": config["search"]["enabled"],
        "compare_backends": config["backends"]["enabled"],
        "measure_scaling": config["evaluation"]["scaling"]["enabled"],
        "search_settings": config["tuning"]["search"]["enabled"],
        "render_report": False,  # its own is written after it
    }
    found = []
    for made in workflow.rules:
        # Snakemake writes what a wildcard may be into the pattern.
        pattern = strip_wildcard_constraints(str(made.benchmark or ""))
        if not switched.get(made.name, True) or "{dataset}" not in pattern:
            continue
        point = "{method}/k~{k}_reg~{reg}"
        names = METHODS
        if point in pattern:
            pattern = pattern.replace(point, "{method}")
            names = [
                point.format(method=method, k=k, reg=reg)
                for method in methods("factorization")
                for k, reg in points(config["methods"][method])
            ]
        found += expand(
            pattern,
            dataset=wildcards.dataset,
            fold=FOLDS[wildcards.dataset],
            method=names,
            scatteritem=gather.neighbours("{scatteritem}"),
        )
    return found


def job_logs(wildcards):
    """Logs of the jobs that `job_measurements` tells of: logs/ and benchmarks/ mirror each other."""
    results = Path("results", wildcards.dataset)
    return [
        str(
            results
            / "logs"
            / Path(path).relative_to(results / "benchmarks").with_suffix(".log")
        )
        for path in job_measurements(wildcards)
    ]


def logs(path):
    """The log of a job; logs/ mirrors the rules."""
    return f"results/{{dataset}}/logs/{path}.log"


def command_line():
    """The command that repeats this run."""
    settings = workflow.config_settings
    return command(settings.configfiles, settings.config)


def asks_for_gpu():
    """Whether training jobs are to ask for a GPU, where the run starts.

    `device: auto` asks on a machine that has a GPU, so that without one the jobs run side by side
    on the cores; `cuda` always asks, which is right where jobs are sent to another machine. Under
    `--resources gpu=0` none asks.
    """
    limit = workflow.global_resources.get("gpu")
    if limit is not None and limit.value == 0:
        return False
    return config["device"] == "cuda" or (config["device"] == "auto" and has_gpu())


# A job reads the rules again, at times on a node that shows GPUs which nobody gave it: what was
# decided where the run starts is handed down to it.
if workflow.is_main_process:
    os.environ["CFMF_GPU"] = str(int(asks_for_gpu()))


envvars:
    "CFMF_GPU",


def gpus(wildcards):
    """GPUs that a training job asks for, 0 or 1; a method whose solver knows no GPU never asks."""
    return int(os.environ["CFMF_GPU"] == "1" and on_gpu(wildcards.method))


def input_megabytes(input, names=()):
    """Size of a job's inputs; with names, of these only."""
    if not names:
        return input.size_mb
    files = [input[name] for name in names]
    flat = [path for one in files for path in ([one] if isinstance(one, str) else one)]
    return sum(os.path.getsize(path) for path in flat) / 1e6


def megabytes(base, times, *names):
    """Memory of a job: a base and a multiple of its input, doubled at each further attempt.

    With names, of these inputs only.
    """

    def needed(wildcards, input, attempt):
        size = input_megabytes(input, names)
        return int((base + times * size) * 2 ** (attempt - 1))

    return needed


def minutes(base, each, *names):
    """Time of a job: a base and so many minutes for each megabyte of its input, more each attempt.

    With names, of these inputs only. What a rule asks is several times what it took where it was
    measured: on two busy cores, with a million synthetic ratings of 6,040 users and 3,700 items in
    two folds, where the matrices of all folds and parts take 6.4 MB and the ratings 3.5 MB.
    """

    def needed(wildcards, input, attempt):
        return int(base + each * input_megabytes(input, names)) * attempt

    return needed


def tuning_minutes(wildcards, input, attempt):
    """Time of a job that tunes on every fold: all that `tuning.seconds` allows, and to begin with.

    Only past that limit does a job itself say OUT_OF_TIME; a batch system should not end it before.
    """
    allowed = len(FOLDS[wildcards.dataset]) * config["tuning"]["seconds"] / 60
    return int(30 + allowed + input.size_mb) * attempt


def training_minutes(wildcards, input, attempt):
    """Time of a job that trains one point: its share of `tuning.seconds` on fit, as much on train.

    The training on train takes the epochs that fit took, on a tenth more ratings.
    """
    seeds = config["study"]["seeds"]
    share = seconds_a_run(
        config["tuning"]["seconds"], config["methods"][wildcards.method], seeds
    )
    runs = len(FOLDS[wildcards.dataset]) * len(seeds)
    return int(30 + 2.5 * runs * share / 60 + input.size_mb) * attempt


def raw_megabytes(folder):
    """Megabytes of all raw files: a folder's own size is not that of what it holds."""
    os.listdir(folder)  # not there yet: Snakemake asks again when it is
    files = (path for path in Path(folder).rglob("*") if path.is_file())
    return sum(path.stat().st_size for path in files) / 1e6


def parse_megabytes(wildcards, input, attempt):
    """Memory to parse raw files, doubled at each further attempt.

    Measured in parse_ratings on 223 MB of raw files (8.6 million ratings): 0.47 GB; in
    benchmarks/data.py on 2713 MB (100 million), read and checked but not written: 2.8 GB.
    """
    return int((500 + 1.5 * raw_megabytes(input.raw)) * 2 ** (attempt - 1))


def parse_minutes(wildcards, input, attempt):
    """Time to parse raw files; measured on 223 MB on two busy cores: 6 seconds."""
    return int(10 + raw_megabytes(input.raw) / 50) * attempt


def fold_megabytes(wildcards, input, attempt):
    """Memory of a job that holds one fold at a time, doubled at each further attempt.

    Measured on one fold, from MovieLens 100K over MovieLens 1M to 10,000 x 10,000 with 6.9 million
    training ratings: 0.3, 0.6 and 1.3 GB at most, for training matrices of 0.1, 1.7 and 15 MB.
    At 15 MB, 0.5 GB of that are the kept similarities, which never grow beyond it.
    """
    folds = len(FOLDS[wildcards.dataset])
    return int((1000 + 50 * input.size_mb / folds) * 2 ** (attempt - 1))


def training_megabytes(wildcards, input, attempt):
    """Memory of a job that trains one point, doubled at each further attempt.

    Measured, every fold loaded and one thread, size_mb being that of all matrices of all folds:
    MovieLens 100K (1.7 MB) took 461 MB at k 16 (mf) and 444 (gibbs); MovieLens 1M (19 MB) 652 at
    k 16 and 938 at k 128 (mf), 879 at k 128 (als), 674 at k 16 (gibbs-implicit); one fold of the
    study's 10,000 × 10,000 (37 MB) 1044 at k 50 (mf). JAX, which gathers the factors of every rating
    of a fold, took 672, 827, 1221 and 1748 MB at k 4, 16, 64 and 128 on a fold of 3.2 MB. Asked is
    about a third more.
    """
    needed = 700 + input.size_mb * (12 + int(wildcards.k) / 6)
    if environment("factorization", wildcards.method) == "jax":
        folds = len(FOLDS[wildcards.dataset])
        needed += 200 + 3.6 * int(wildcards.k) * input.size_mb / folds
    return int(needed * 2 ** (attempt - 1))


def retrieve_megabytes(wildcards, input, attempt):
    """Memory to retrieve raw files, doubled at each further attempt.

    Downloads pass through in parts. Ratings that are drawn are held: a million took 207 MB.
    """
    return int((1000 + 100 * drawn_millions(wildcards)) * 2 ** (attempt - 1))


def retrieve_minutes(wildcards, input, attempt):
    """Time to retrieve raw files: two hours for a download; a million drawn ratings took 10 s."""
    return int(120 + drawn_millions(wildcards)) * attempt


def drawn_millions(wildcards):
    """Millions of ratings that a synthetic data set is to have; 0 of others."""
    drawn = config["datasets"][wildcards.dataset].get("synthetic", {})
    return (drawn.get("train", 0) + drawn.get("test", 0)) / 1e6


def table(path, category, label, caption=""):
    """An output that Snakemake's own report shows, with the caption named as the file."""
    name = caption or Path(path).stem
    return report(
        path,
        caption=f"../report/captions/{name}.rst",
        category=category,
        labels={"data set": "{dataset}", "table": label},
    )


def table_across(name, category, label):
    """An output of all data sets together that Snakemake's own report shows."""
    return report(
        f"results/across_datasets/{name}",
        caption=f"../report/captions/across_{Path(name).stem}.rst",
        category=category,
        labels={"data set": "all", "table": label},
    )
