"""What this run shows of each erratum: by its number, the values of its sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import pandas as pd
from markupsafe import Markup

from cfmf.published.keys import ALL_TRIALS, KRUSKAL, UNBLOCKED
from cfmf.published.printed import printed_numbers
from cfmf.published.reporting.search_as_run import medians, order
from cfmf.published.reporting.user_cf_as_run import leaked
from cfmf.report import numbers
from cfmf.report.context import Study
from cfmf.report.sections.factors import watched_phase
from cfmf.report.strings import amounts, code, number
from cfmf.tables import where

Values = Mapping[str, object]


def _double_root(study: Study) -> Values | None:
    printed = printed_numbers()
    loss = printed["trial_0_loss"]
    root = number(float(np.sqrt(loss)), "rmse")
    return amounts("", train=printed["trial_0_train"], loss=loss) | {"root": root}


def _untrained(study: Study, method: str = "mf-published") -> dict[int, float]:
    """RMSE before the first step at each k, where the learning curves have it."""
    found = {}
    for (name, k, _), history in study.histories.items():
        first = history.iloc[0]
        watched = [first[c] for c in ("test_rmse", "validation_rmse", "train_rmse") if first[c] > 0]
        if name == method and watched and first["epoch"] == 0:
            found[int(k)] = float(watched[0])
    return dict(sorted(found.items()))


def _untrained_medians(study: Study) -> Values | None:
    start = _untrained(study)
    if len(start) < 2:
        return None
    return {
        "ks": list(map(code, start)),
        "roots": _listed(value**0.5 for value in start.values()),
    }


def searched(study: Study) -> Values | None:
    """Orders of k by the medians of the repeated search, with and without its pruned trials."""
    frame = study.table("frame")
    if frame.empty:
        return None
    table = medians(frame)
    counts = amounts("", **table[["pruned", "trials"]].sum().astype(int))
    return counts | {column: order(table, column) for column in ("all", "complete")}


def _initial(study: Study) -> Values | None:
    start, ours = _untrained(study), _untrained(study, "mf")
    if len(start) < 2:
        return None
    low, high = min(start), max(start)
    small = f"{min(ours.values()):.4f}–{max(ours.values()):.4f}" if ours else "–"
    at = amounts("rmse", at_low=start[low], at_high=start[high])
    return {**amounts("", low=low, high=high), **at, "ours": small}


def _listed(values: Iterable[float]) -> list[Markup]:
    return [number(value, "rmse") for value in values]


def _mf_on_test(study: Study) -> pd.DataFrame:
    return where(study.tables["metrics"], method="mf", metric="rmse", split="test")


def _test_as_validation(study: Study) -> Values | None:
    """How much lower the test RMSE would look had it chosen the setting itself."""
    each = _mf_on_test(study).groupby(["fold", "k", "reg"])["value"].mean()
    unbiased = where(numbers.errors_on_test(study), method="mf")["value"].mean()
    if each.empty or np.isnan(unbiased):
        return None
    peeked = each.groupby("fold").min().mean()
    return amounts("rmse", peeked=peeked, honest=unbiased, gain=unbiased - peeked)


def _straw_man(study: Study) -> Values | None:
    plain = numbers.measure(study, "user-cf-published", "test")
    errors = numbers.errors_on_test(study).groupby("method")["value"].mean()
    if plain is None or "user-knn" not in errors:
        return None
    return amounts("rmse", plain=plain, tuned=errors["user-knn"])


def _design(study: Study) -> Values | None:
    rows = _mf_on_test(study)
    if rows.empty:
        return None
    settings = len(rows[["k", "reg"]].drop_duplicates())
    sizes = rows[["fold", "seed"]].nunique()
    return amounts("", folds=sizes["fold"], seeds=sizes["seed"], settings=settings)


def _stopping(study: Study) -> Values | None:
    ends = [
        watched_phase(history).iloc[-1]
        for (method, _, _), history in study.histories.items()
        if method == "mf-published"
    ]
    if not ends:
        return None
    epochs = [int(end["epoch"]) for end in ends]
    delta = number(float(f"{max(abs(float(end['delta_loss'])) for end in ends):.3g}"))
    return amounts("count", least=min(epochs), most=max(epochs)) | {"delta": delta}


def _self(study: Study) -> Values | None:
    left_out, with_own = numbers.measure(study, "user-cf-published", "train"), leaked(study)
    if left_out is None or with_own is None:
        return None
    return amounts("rmse", left_out=left_out, leaked=with_own)


def _broadcast(study: Study) -> Values | None:
    if study.users is None or study.items is None or study.ratings is None:
        return None
    m, n = len(study.users), len(study.items)
    return {
        "broadcast": number(float(m) * m * n * 4, "gib"),
        "sparse": number(len(study.ratings) * 8.0, "bytes"),
    }


def _decay(study: Study) -> Values | None:
    """Test RMSE of the published torch code at its largest k, at its lowest and highest λ."""
    grid = numbers.grid(study, "mf-published", "test")
    if grid["reg"].nunique() < 2:
        return None
    rows = where(grid, k=max(grid["k"], key=float)).sort_values(
        "reg", key=lambda s: s.astype(float)
    )
    ends = dict(zip(("low", "high"), rows["reg"].iloc[[0, -1]].astype(float), strict=True))
    errors = dict(zip(("at_low", "at_high"), rows["value"].iloc[[0, -1]], strict=True))
    k = number(int(rows["k"].iloc[0]))
    return amounts("", **ends) | amounts("rmse", **errors) | {"k": k}


def _normality(study: Study) -> Values | None:
    judged = where(study.table("assumptions"), design=UNBLOCKED)["violation"].dropna()
    failed = int(judged.astype(bool).sum())
    return amounts("", failed=failed, judged=len(judged)) if len(judged) else None


def _kruskal(study: Study) -> Values | None:
    rows = where(study.table("tests"), design=UNBLOCKED, test=KRUSKAL).dropna(subset=["effect"])
    if rows.empty:
        return None
    row = rows.iloc[0]
    return {"name": str(row["effect_name"]), "effect": number(float(row["effect"]), "rmse")}


def _train_by_k(study: Study) -> Values | None:
    table = numbers.tuned_by_k(study, "train")
    if table.empty:
        table = numbers.tuned_by_k(study, "fit")
    table = where(table, method="mf-published")
    if table["k"].nunique() < 2:
        return None
    means = table.groupby("k")["value"].mean()
    means = means.loc[sorted(means.index, key=float)]
    return {"ks": list(map(code, means.index)), "values": _listed(means.tolist())}


def _count(study: Study) -> Values | None:
    kept = study.audit.get("rows_kept")
    return None if kept is None else {"kept": number(kept, "count")}


def _two_losses(study: Study) -> Values | None:
    """Where the two published recipes end at one k and λ, each in the units of its own loss."""
    for (name, k, reg), history in study.histories.items():
        other = study.histories.get(("mf-published", k, reg))
        if name != "mf-published-jax" or other is None:
            continue
        jax, torch = (watched_phase(curve).iloc[-1] for curve in (history, other))
        return {
            "k": number(int(k)),
            **amounts("count", torch_epochs=int(torch["epoch"]), jax_epochs=int(jax["epoch"])),
            **amounts("rmse", torch_loss=torch["loss"], jax_loss=jax["loss"]),
            **amounts("rmse", torch=torch["test_rmse"], jax=jax["test_rmse"]),
        }
    return None


def _one_key(study: Study) -> Values | None:
    """RMSE before the first step with two keys and with one, and how many rows are the same."""
    one = _untrained(study, "mf-published-jax")
    shared = [k for k in _untrained(study) if k in one]
    if not shared or study.users is None or study.items is None:
        return None
    k = shared[-1]
    return {
        "k": number(k),
        "rows": number(min(len(study.users), len(study.items)), "count"),
        **amounts("rmse", two=_untrained(study)[k], one=one[k]),
    }


def _speed(study: Study) -> Values | None:
    rows = study.table("backends")
    if not {"torch", "jax"} <= set(rows["backend"]):
        return None
    seconds = rows.set_index("backend")["epoch_seconds"][["torch", "jax"]]
    return amounts("seconds", **seconds) | {"repeats": number(int(rows["repeats"].max()))}


def _generators(study: Study) -> Values | None:
    rows = study.table("generators")
    if rows.empty:
        return None
    counts = amounts("", tests=len(rows), below=int((rows["p_raw"] < 0.05).sum()))
    return counts | {"adjusted": number(rows["p_adj"].min(), "p")}


def _similarity_time(study: Study) -> Values | None:
    found = study.similarity
    if found is None or found.seconds is None or study.users is None:
        return None
    seconds, users = number(found.seconds, "seconds"), number(len(study.users), "count")
    return {"seconds": seconds, "users": users}


def _duplicates(study: Study) -> Values | None:
    checks = study.audit.get("checks", {})
    found = checks.get("duplicates") if isinstance(checks, dict) else None
    count = found.get("count") if isinstance(found, dict) else found
    return None if count is None else {"count": number(count, "count")}


def _dates(study: Study) -> Values | None:
    if study.ratings is None or "date" not in study.ratings:
        return None
    dates = study.ratings["date"].dropna()
    if dates.empty:
        return None
    return {"first": str(dates.min().date()), "last": str(dates.max().date())}


def _larger_p(study: Study) -> Values | None:
    """For how many seeds torch's numbers have the larger p against the normal distribution."""
    rows = where(study.table("generators"), against="normal")
    if not {"torch", "jax"} <= set(rows["sample"]):
        return None
    wide = rows.pivot_table(index="seed", columns="sample", values="p_raw")
    return amounts("", torch=int((wide["torch"] > wide["jax"]).sum()), seeds=len(wide))


def _best_reg(study: Study) -> Values | None:
    """The λ of the best completed trial, and its place in the logarithmic range."""
    trials = where(study.table("frame"), state="COMPLETE") if "frame" in study.added else None
    block = study.provenance.get("config", {}).get("published", {}).get("search", {})
    if trials is None or trials.empty or "reg_low" not in block:
        return None
    best = float(numbers.least(trials, "value")["params_lmd"])
    low, high = float(block["reg_low"]), float(block["reg_high"])
    place = np.log(best / low) / np.log(high / low)
    return amounts("", best=best) | amounts("percent", place=place)


def _dense(study: Study) -> Values | None:
    """Bytes of a dense users × items matrix of float32, and of the factors at the study's k."""
    if study.users is None or study.items is None:
        return None
    m, n, k = len(study.users), len(study.items), printed_numbers()["setting"]["k"]
    return amounts("bytes", dense=4.0 * m * n, factors=4.0 * (m + n) * k) | {"k": number(k)}


def _training_ratings(study: Study) -> Values | None:
    if study.matrices is None:
        return None
    kinds = where(study.matrices.kinds, part="train")
    return amounts("count", n=int(kinds["stored"].iloc[0])) if len(kinds) else None


def _means(study: Study) -> Values | None:
    """Medians and means of all trials at the two k that the study compares."""
    rows = where(study.table("medians"), arm=ALL_TRIALS)
    rows = rows.assign(k=rows["k"].astype(str)).set_index("k")
    if not {"1", "4"} <= set(rows.index):
        return None
    found = {f"{name}_{k}": rows.loc[k, name] for name in ("median", "mean") for k in ("1", "4")}
    return amounts("rmse", **found)


def _two_bests(study: Study) -> Values | None:
    """The k of the lowest median of all trials, and of the lowest single value."""
    frame = study.table("frame")
    if frame.empty:
        return None
    median = order(medians(frame), "all").split(" < ")[0]
    single = numbers.least(frame.dropna(subset=["value"]), "value")["params_k"]
    return {"median": number(int(median)), "single": number(int(single))}


def _seeds(study: Study) -> Values | None:
    found = _design(study)
    return found and {name: found[name] for name in ("folds", "seeds")}


def _delivered(study: Study) -> Values | None:
    """What the study promised and this run has, by the keys of `errata.part`."""
    methods = set(numbers.methods(study))
    grid = len(numbers.grid(study, "mf")) > 1
    has = {name: name in methods for name in ("user-knn", "mf-bounded", "mf-cubic")}
    has |= {"grid": grid, "cold_start": len(study.table("cold_start")) > 0}
    return {name: name for name, there in has.items() if there} or None


EVIDENCE: dict[int, Callable[[Study], Values | None]] = {
    1: _double_root,
    2: _two_losses,
    3: _untrained_medians,
    4: _test_as_validation,
    5: _straw_man,
    6: _design,
    7: _initial,
    8: _stopping,
    9: _one_key,
    10: _one_key,
    11: _speed,
    13: _generators,
    14: _self,
    15: _broadcast,
    17: _similarity_time,
    18: _decay,
    19: _normality,
    20: _kruskal,
    21: _train_by_k,
    22: _count,
    23: _duplicates,
    24: _dates,
    26: _larger_p,
    29: _best_reg,
    30: _dense,
    31: _training_ratings,
    32: _means,
    33: _seeds,
    34: _two_bests,
    35: _delivered,
}
