"""Torch against JAX: the time of an epoch, and tests of the random numbers of both."""

from __future__ import annotations

from cfmf.published.printed import printed_numbers
from cfmf.report import numbers
from cfmf.report.context import Study
from cfmf.report.page import Block, Column, Fold, Heading, Table, Text, records
from cfmf.report.strings import Catalogue, number


def blocks(study: Study, words: Catalogue) -> list[Block]:
    """Both comparisons, as far as the run made them."""
    return [*_backends(study, words), *_generators(study, words)]


def _backends(study: Study, words: Catalogue) -> list[Block]:
    """Torch against JAX, where the study compared them."""
    backends = study.added.get("backends")
    if backends is None:
        return []
    found: list[Block] = [Heading(words("factorization.backends_heading"))]
    by_name = {str(row["backend"]): row for row in records(backends)}
    if "jax" in by_name:
        torch, jax = by_name["torch"], by_name["jax"]
        told = words(
            "factorization.backends_text",
            epochs=number(torch["epochs"], "count"),
            repeats=number(torch["repeats"], "count"),
            torch=number(torch["epoch_seconds"], "seconds"),
            jax=number(jax["epoch_seconds"], "seconds"),
            compile=number(jax["compile_seconds"], "seconds"),
            setup_torch=number(torch["setup_seconds"], "seconds"),
            setup_jax=number(jax["setup_seconds"], "seconds"),
            difference=number(float(f"{jax['loss_difference']:.1g}")),
        )
        found.append(Text(told))
    columns = [
        Column("backend", words.plain("column.backend"), "code"),
        Column("device", words.plain("column.device"), "code"),
        Column("dtype", words.plain("column.dtype"), "code"),
        Column("setup_seconds", words.plain("column.setup_seconds"), "seconds"),
        Column("compile_seconds", words.plain("column.compile_seconds"), "seconds"),
        Column("epoch_seconds", words.plain("column.epoch_seconds"), "seconds"),
        Column("epoch_seconds_min", words.plain("column.epoch_seconds_min"), "seconds"),
        Column("epoch_seconds_max", words.plain("column.epoch_seconds_max"), "seconds"),
        Column("loss", words.plain("series.loss"), "rmse"),
        Column("test_rmse", words.plain("column.test_rmse"), "rmse"),
    ]
    found.append(
        Table("backends", words("factorization.backends_title"), columns, records(backends))
    )
    return found


def _generators(study: Study, words: Catalogue) -> list[Block]:
    """Tests of the random numbers, beside what the study printed of them."""
    generators = study.added.get("generators")
    if generators is None:
        return []
    columns = [
        Column("seed", words.plain("column.seed"), "count"),
        Column("n", "n", "count"),
        Column("sample", words.plain("column.sample"), "code"),
        Column("against", words.plain("column.against"), "code"),
        Column("statistic", words.plain("column.statistic"), "rmse"),
        Column("p_raw", "p", "p"),
        Column("p_adj", words.plain("column.p_adj"), "p"),
    ]
    least = numbers.least(generators, "p_raw")
    torch = generators[(generators["sample"] == "torch") & (generators["against"] == "normal")]
    known = printed_numbers()["kolmogorov_smirnov"]
    at_seed = torch.loc[torch["seed"].astype(str) == str(known["seed"]), "statistic"]
    with_jax = "jax" in set(generators["sample"])
    return [
        Heading(words("factorization.generators_title")),
        Text(
            words(
                "factorization.generators_text",
                tests=number(len(generators), "count"),
                least=number(float(least["p_raw"]), "p"),
                adjusted=number(float(generators["p_adj"].min()), "p"),
            )
        ),
        Text(
            words(
                "factorization.generators_printed",
                seed=known["seed"],
                here=number(float(at_seed.iloc[0]), "rmse") if len(at_seed) else "–",
                **{name: number(known[name], "rmse") for name in ("torch", "jax", "both")},
            )
        ),
        *([] if with_jax else [Text(words("factorization.generators_off"))]),
        Fold(
            words("factorization.generators_title"),
            [
                Table(
                    "generators",
                    words("factorization.generators_title"),
                    columns,
                    records(generators),
                )
            ],
        ),
    ]
