"""Which results a study has, as its checked config says: data sets, folds, methods and points."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from itertools import count, product
from pathlib import Path
from typing import Any

from cfmf.data.catalogue import local_files
from cfmf.data.splits import saved_facts, sealed_folds, studied_folds
from cfmf.files import seen_from_here
from cfmf.imports import ROOT, imported_files
from cfmf.lattice import axes
from cfmf.methods import registry
from cfmf.methods.base import plain
from cfmf.methods.registry import method as method_named
from cfmf.tables import read_table
from cfmf.workflow import layout
from cfmf.workflow.sealed import is_open


class Plan:
    """The results of a study, for the input functions of the rules.

    Parameters
    ----------
    config
        The checked config, with its defaults filled in.
    round_file
        Returns the table of the points that a round of a search added, given dataset, method and
        round; it raises what Snakemake wants to hear where that round is still to be run.

    Attributes
    ----------
    config
        The checked config, with its defaults filled in.
    folder
        What precedes `results/` in the paths of this run.
    datasets, methods, seeds
        Those of `study`.
    trials
        How many settings a method may try as its search grows; 0 where it does not.
    adaptive
        Methods of `tuning.adaptive`; none where it is disabled.
    blends
        Members of each blend, by the name that tables have for it.
    foreign
        Predictions of other tools: the block of the config of each.
    folds
        Names of the folds of each data set.
    same_ratings
        For each data set the first one of the same ratings.
    """

    def __init__(self, config: Mapping[str, Any], round_file: Callable[..., str]):
        self.config = config
        self.folder = layout.run_folder(config["run"]["name"])
        self.round_file = round_file
        self.datasets: list[str] = config["study"]["datasets"]
        self.methods: list[str] = config["study"]["methods"]
        self.seeds: list[int] = config["study"]["seeds"]
        tuning = config["tuning"]
        self.trials: int = tuning["trials"] if tuning["grow"] else 0
        adaptive = tuning["adaptive"]
        self.adaptive: list[str] = adaptive["methods"] if adaptive["enabled"] else []
        self.blends = registry.blends(config["blends"], self.methods)
        self.foreign: dict[str, dict[str, Any]] = config["predictions"]
        described = {name: config["datasets"][name] for name in self.datasets}
        self.folds = {name: studied_folds(one) for name, one in described.items()}
        self.same_ratings = same_ratings(described)

    def result(self, name: str, **wildcards: object) -> str:
        """The path of a result of this run; see `cfmf.workflow.layout.result`."""
        return self.folder + layout.result(name, **wildcards)

    def job_path(self, kind: str, rule: str, **wildcards: object) -> str:
        """The `log` or the `benchmark` of a job of this run."""
        return self.folder + layout.job_path(kind, rule, **wildcards)

    def in_area(self, wanted: str) -> list[str]:
        """The study's methods of one `area`, in the order of the config."""
        return [method for method in self.methods if area(method) == wanted]

    @property
    def compares_users(self) -> bool:
        """Whether the similarities of users are of interest: they grow with the square of these."""
        methods = map(method_named, self.methods)
        return self.config["published"]["enabled"] or any(
            method.neighbours_of == "users" for method in methods
        )

    def fold(self, section: str, dataset: str) -> str:
        """The one fold that a section of the config, as `published.search`, names, or the first.

        Raises
        ------
        ValueError
            If the data set has no such fold.
        """
        folds = self.folds[dataset]
        block: Any = self.config
        for key in section.split("."):
            block = block[key]
        fold: str = block["fold"] or folds[0]
        if fold not in folds:
            raise ValueError(f"{section}.fold is {fold}; choose from {', '.join(folds)}")
        return fold

    def studied(self, name: str, **wildcards: Any) -> list[str]:
        """A result of every data set, and of every fold where its path has one."""
        return [
            path
            for dataset in self.datasets
            for path in filled(
                self.result(name, dataset=dataset), fold=self.folds[dataset], **wildcards
            )
        ]

    def points(
        self, dataset: str, file: str, *methods: str, before: int | None = None
    ) -> list[str]:
        """A file of every point of factorizations, by default of all; see `tried`."""
        return [
            self.result("point", dataset=dataset, method=method, file=file, k=k, reg=reg)
            for method in methods or self.in_area("factorization")
            for k, reg in self.tried(dataset, method, before)
        ]

    def tried(self, dataset: str, method: str, before: int | None = None) -> list[tuple[str, str]]:
        """Every (k, reg) of a factorization: those that the config lists, then those added.

        Parameters
        ----------
        before
            Without what this round of the search and later ones added.
        """
        found = points(self.config["methods"][method])
        return sum(self.added(dataset, method, before), found)

    def added(
        self, dataset: str, method: str, before: int | None = None
    ) -> Iterator[list[tuple[str, str]]]:
        """The points that each round of a search added, until one adds none or no trial is left."""
        known = len(points(self.config["methods"][method]))
        for number in count(1):
            if number == before or known >= self.trials or not self.grows(method):
                return
            path = self.round_file(dataset=dataset, method=method, round=number)
            new = _round(path, os.stat(path).st_mtime_ns)
            yield list(new)
            known = known + len(new) if new else self.trials

    def grows(self, method: str) -> bool:
        """Whether the search of a method goes on beyond the points that the config lists."""
        return bool(self.trials and axes(method_named(method), self.config["methods"][method]))

    def of_method(self, dataset: str, method: str, file: str) -> list[str]:
        """A file of every setting of a method, or of a blend."""
        if area(method) == "factorization":
            return self.points(dataset, file, method)
        return [self.result(area(method), dataset=dataset, method=method, file=file)]

    def of_members(self, job: Any, *files: str) -> list[str]:
        """Files of every setting of the members of a blend, given its job's wildcards.

        Only methods that are tuned in one job have `tuning_costs.tsv`.
        """
        return [
            path
            for method, file in product(self.blends[job.method], files)
            if area(method) == "neighbours" or file != "tuning_costs.tsv"
            for path in self.of_method(job.dataset, method, file)
        ]

    def selection(self, *methods: str) -> list[str]:
        """The table of chosen settings of each method or blend, by default of all methods."""
        return [
            self.result(area(method), method=method, file="settings.tsv")
            for method in methods or self.methods
        ]

    def side(self, dataset: str, *methods: str, file: str = "side") -> list[str]:
        """A file about what is known beside the ratings, where one of these methods uses it."""
        used = any(method_named(method).uses for method in methods)
        return [self.result(file, dataset=dataset)] if used else []

    def seconds_a_run(self, method: str) -> float:
        """Share of `tuning.seconds` that one training of a factorization gets.

        A search that grows may need `tuning.trials` of them for each seed.
        """
        most = len(points(self.config["methods"][method]))
        most = max(most, self.trials) if self.grows(method) else most
        return float(self.config["tuning"]["seconds"] / (most * len(self.seeds)))

    def published(self) -> list[str]:
        """Results of the published study, as far as it is enabled."""
        block = self.config["published"]
        if not block["enabled"]:
            return []
        files = ["first_user.tsv", "loop_costs.tsv"]
        found = [self.result("backends", table="generators")]
        if block["backends"]["enabled"]:
            found.append(self.result("backends", table="backends"))
        if block["search"]["enabled"]:
            found.append(self.result("statistics", table="trials"))
            names = ("frame", "intermediate", "importances", "curve")
            files += [f"{name}.parquet" for name in names]
        return [*found, *filled(self.result("published"), file=files)]

    def foreign_seeds(self, name: str) -> list[str]:
        """Seeds of the predictions of another tool; one empty text without any."""
        seeded = "{seed}" in self.foreign[name]["files"]
        return [str(seed) for seed in self.seeds] if seeded else [""]

    def foreign_files(self, dataset: str, name: str) -> list[str]:
        """The files of predictions of another tool: of each fold, one for each seed."""
        pattern = str(Path(self.foreign[name]["files"]).expanduser())
        return [
            pattern.format(dataset=dataset, fold=fold, seed=seed)
            for fold in self.folds[dataset]
            for seed in self.foreign_seeds(name)
        ]

    def jobs(self, kind: str, dataset: str, blocks: list[str]) -> list[str]:
        """The `log` or `benchmark` of each job of a data set but that of the report.

        Their folder may hold more: those of another config. `blocks` are those of `predict_block`.
        """
        published = self.config["published"]
        enabled = {
            "search_published": published["enabled"] and published["search"]["enabled"],
            "compare_backends": published["enabled"] and published["backends"]["enabled"],
            "compare_generators": published["enabled"],
            "predict_first_user": published["enabled"],
            "build_side": bool(self.side(dataset, *self.methods, *self.adaptive)),
            "measure_scaling": self.config["evaluation"]["scaling"]["enabled"],
            "tune_adaptively": bool(self.adaptive),
            "compute_similarity": self.compares_users,
            "predict_block": len(blocks) > 1,
            **dict.fromkeys(("forecast", "forecast_costs"), False),
            "render_report": False,
            "export_fold": False,
            "compare_datasets": False,
            **dict.fromkeys(layout.OF_MODELS, False),
        }
        found = []
        for rule, parts in layout.JOBS.items():
            if not enabled.get(rule, True):
                continue
            pattern = self.job_path(kind, rule, dataset=dataset)
            if "{k}" in parts:
                found += [
                    pattern.format(method=method, k=k, reg=reg)
                    for method in self.in_area("factorization")
                    for k, reg in self.tried(dataset, method)
                ]
            elif "{round}" in parts:
                for method in self.in_area("factorization"):
                    rounds = [str(n) for n, _ in enumerate(self.added(dataset, method), 1)]
                    found += filled(pattern, method=method, round=rounds)
            else:
                own = {"tune_adaptively": self.adaptive, "blend_methods": [*self.blends]}
                own |= {"score_predictions": [*self.foreign]}
                own |= {"select_settings": self.in_area("factorization")}
                tuned = ("tune_neighbours", "predict_block", "predict_neighbours")
                own |= dict.fromkeys(tuned, self.in_area("neighbours"))
                every = own.get(rule, self.methods)
                found += filled(pattern, fold=self.folds[dataset], method=every, scatteritem=blocks)
        return found

    def local_files(self, dataset: str) -> list[str]:
        """The files of a data set's local folder, unless another data set's raw files are taken."""
        if self.same_ratings[dataset] != dataset:
            return []
        found = local_files(self.config["datasets"][dataset])
        return [str(path) for path in found if path.is_file()]

    def saved_folds(self, dataset: str) -> list[str]:
        """The files of the folds that a data set takes from another run."""
        split = self.config["datasets"][dataset]["split"]
        folder = Path(split["folder"]).expanduser()
        saved = [str(folder / name) for name in ("folds.json", "folds.npz")]
        return saved if split["kind"] == "saved" else []

    def braced(self) -> list[str]:
        """The paths of the checkout and of the user's files that hold a brace."""
        paths = [str(ROOT), self.config["models"]["pairs"]]
        for dataset in self.datasets:
            paths += [*self.local_files(dataset), *self.saved_folds(dataset)]
        return [path for path in paths if set("{}") & set(path)]

    def statistics(self, dataset: str) -> dict[str, Any]:
        """The `statistics` block, its margin in rating units."""
        block = self.config["statistics"]
        return {**block, "margin": block["margin"] * self.width(dataset)}

    def declared(self, dataset: str) -> dict[str, Any]:
        """What the config declares of a data set's comparison; nothing that only wording needs."""
        return {
            "folds": self.folds[dataset],
            "sealed": sealed_folds(self.config["datasets"][dataset]),
            "methods": {name: self.config["methods"][name] for name in self.methods},
            "blends": self.blends,
            **({"predictions": self.foreign} if self.foreign else {}),
            "seeds": self.seeds,
            "tuning": {key: self.config["tuning"][key] for key in ("seconds", "grow", "trials")},
            "evaluation": {key: self.config["evaluation"][key] for key in ("fold", "trimming")},
            "statistics": self.statistics(dataset),
        }

    def is_open(self, dataset: str) -> bool:
        """Whether a data set has sealed folds that are opened."""
        return is_open(self.config["datasets"][dataset])

    def scale(self, dataset: str) -> list[float]:
        """Lowest and highest rating of a data set."""
        scale = self.config["datasets"][dataset]["scale"]
        return [scale["minimum"], scale["maximum"]]

    def width(self, dataset: str) -> float:
        """Width of the rating scale of a data set."""
        lowest, highest = self.scale(dataset)
        return highest - lowest


def winner_of(path: str | Path) -> str:
    """Name of the method that `choose_winner` wrote."""
    found: str = json.loads(Path(path).read_text("utf-8"))["method"]
    return found


def area(method: str) -> str:
    """Whose rules run it: `blend` or `foreign`; of methods `factorization` if a point is a job."""
    if registry.is_blend(method):
        return "blend"
    if registry.is_foreign(method):
        return "foreign"
    return "factorization" if method_named(method).job_per_point else "neighbours"


def points(settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Every (k, reg) of a factorization method, as canonical text, in the order of the config.

    A method that infers its regularization has no `reg` in its settings; its text is `inferred`.
    """
    regs = [plain(float(reg)) for reg in settings["reg"]] if "reg" in settings else ["inferred"]
    return [(str(k), reg) for k in settings["k"] for reg in regs]


def same_ratings(datasets: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """For each data set the first one that is described alike but for its split and label."""
    first: list[tuple[str, dict[str, Any]]] = []
    found = {}
    for name, described in datasets.items():
        ratings = {key: x for key, x in described.items() if key not in ("split", "label")}
        twin = next((other for other, known in first if known == ratings), None)
        found[name] = twin or name
        if twin is None:
            first.append((name, ratings))
    return found


def split_scheme(rule: Mapping[str, Any]) -> str:
    """`temporal` of a split that trains on the past, `random` of any other.

    Saved folds are of the kind that they were made by.
    """
    if rule["kind"] == "saved":
        rule = saved_facts(rule["folder"])["rule"]
    return "temporal" if rule["kind"] in ("timeline", "leave-last") else "random"


@cache
def _round(path: str, changed: int) -> tuple[tuple[str, str], ...]:
    """The points that one round added; Snakemake asks for them hundreds of times in a run."""
    table = read_table(path, "points")
    return tuple((k, reg or layout.INFERRED) for k, reg in table.itertuples(index=False))


def filled(templates: str | Sequence[str], **lists: Any) -> list[str]:
    """Templates with every combination of values of their wildcards; other wildcards stay."""
    found = []
    for template in [templates] if isinstance(templates, str) else templates:
        used = {name: values for name, values in lists.items() if f"{{{name}}}" in template}
        each = [[value] if isinstance(value, str) else list(value) for value in used.values()]
        for values in product(*each):
            path = template
            for name, value in zip(used, values, strict=True):
                path = path.replace(f"{{{name}}}", value)
            found.append(path)
    return found


def method_files(*methods: str, script: str = "") -> list[str]:
    """Files that some methods, and perhaps a script, are made of, as seen from here."""
    starts = [method_named(method).__module__ for method in methods]
    starts += [f"scripts/{script}.py"] if script else []
    return package_files(*imported_files(*starts))


def package_files(*paths: str) -> list[str]:
    """Files of the checkout, and those below its folders, as seen from the working directory."""
    files = [
        file
        for path in paths
        for file in ([ROOT / path] if (ROOT / path).is_file() else sorted((ROOT / path).rglob("*")))
        if file.is_file()
    ]
    return [seen_from_here(file) for file in files]
