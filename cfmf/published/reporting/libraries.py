"""Torch against JAX: the time of an epoch, and tests of the random numbers of both."""

from __future__ import annotations

import pandas as pd

from cfmf.published.keys import AS_PUBLISHED
from cfmf.published.printed import printed_numbers
from cfmf.report import numbers
from cfmf.report.context import Study
from cfmf.report.page import Block, Collapsed, Heading, Text, records, tabulated
from cfmf.report.strings import Catalogue, amounts, number
from cfmf.tables import where


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """Both comparisons, as far as the run made them."""
    return [*_backends(study, words), *_generators(study, words)]


def _backends(study: Study, words: Catalogue) -> list[Block]:
    """Torch against JAX, where the study compared them."""
    backends = study.table("backends")
    if backends.empty:
        return []
    found: list[Block] = [Heading(words("factorization.backends_heading"))]
    by_name = {str(row["backend"]): row for row in records(backends)}
    if "jax" in by_name:
        torch, jax = by_name["torch"], by_name["jax"]
        seconds = {
            "torch": torch["epoch_seconds"],
            "jax": jax["epoch_seconds"],
            "compile": jax["compile_seconds"],
            "setup_torch": torch["setup_seconds"],
            "setup_jax": jax["setup_seconds"],
        }
        text = words(
            "factorization.backends_text",
            **amounts("count", epochs=torch["epochs"], repeats=torch["repeats"]),
            **amounts("seconds", **seconds),
            difference=number(float(f"{jax['loss_difference']:.1g}")),
        )
        found.append(Text(text))
    columns = "backend device dtype setup_seconds compile_seconds epoch_seconds epoch_seconds_min"
    columns += " epoch_seconds_max loss=series.loss:rmse test_rmse"
    title = words("factorization.backends_title")
    return [*found, tabulated(words, "backends", title, backends, columns)]


def _generators(study: Study, words: Catalogue) -> list[Block]:
    """Tests of the random numbers, with the values that the study printed."""
    generators = study.table("generators")
    if generators.empty:
        return []
    columns = "seed n sample against statistic:rmse p_raw=p p_adj"
    least = numbers.least(generators, "p_raw")
    known = printed_numbers()["kolmogorov_smirnov"]
    with_jax = "jax" in set(generators["sample"])
    tested = words(
        "factorization.generators_text",
        tests=number(len(generators), "count"),
        **amounts("p", least=least["p_raw"], adjusted=generators["p_adj"].min()),
    )
    printed = words(
        "factorization.generators_printed",
        seed=known["seed"],
        **amounts("rmse", **{name: known[name] for name in ("torch", "jax", "both")}),
        **_at_seed(generators, known["seed"]),
    )
    title = words("factorization.generators_title")
    return [
        Heading(title),
        Text(tested),
        Text(printed),
        *([] if with_jax else [Text(words("factorization.generators_off"))]),
        Collapsed(title, [tabulated(words, "generators", title, generators, columns)]),
    ]


def _at_seed(generators: pd.DataFrame, seed: int) -> dict[str, object]:
    """The statistics of the study's three samples in this run; a dash where not tested."""
    rows = generators[generators["seed"].astype(str) == str(seed)]
    samples = {"torch": ("torch", "normal"), "jax": (AS_PUBLISHED, "normal")}
    samples["both"] = ("torch", AS_PUBLISHED)
    found: dict[str, object] = {}
    for name, (sample, against) in samples.items():
        statistic = where(rows, sample=sample, against=against)["statistic"]
        found[f"{name}_here"] = number(statistic.iloc[0], "rmse") if len(statistic) else "–"
    return found
