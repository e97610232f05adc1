"""A model in a file: the same bytes again, by ids, without what fitted it; and no other file."""

import io
import json
import re
import subprocess
import sys
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cfmf.evaluation.conformal import Radii
from cfmf.methods import registry
from cfmf.saved import Names, Saved, load, save, saved
from cfmf.testing import example, informed
from tests.unit.test_methods import SHORT

TRAIN = example().train
NAMES = Names(
    [f"user {number}" for number in range(TRAIN.shape[0])],
    [100 + number for number in range(TRAIN.shape[1])],
    [f"Title {number}" for number in range(TRAIN.shape[1])],
)

RADII = [Radii((0, 20), (2.0, 1.5), 0.9), Radii((0,), (np.inf,), 0.99)]

ASK_WITHOUT = """
import sys

class Without:
    def find_spec(self, name, *rest):
        if name.split(".")[0] in sys.argv[2:]:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Without())
from cfmf.saved import load
print(load(sys.argv[1]).predict(["user 0"], [100], 0.9).iloc[0].to_dict())
"""


def fitted(name: str) -> Saved:
    found = registry.method(name)
    method = informed(found(**SHORT[found.iterates], scale=(1, 5)), TRAIN.shape)
    model = method.fit(TRAIN, example().validation)
    return saved(model, method, TRAIN, NAMES, radii=RADII)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "baseline.cfmf"
    save(path, fitted("baseline"))
    return path


@pytest.mark.parametrize("name", registry.installed())
def test_every_method_is_read_as_it_was_written(name, tmp_path):
    if registry.method(name).environment:
        pytest.importorskip(registry.method(name).environment)
    one = fitted(name)
    for path in (tmp_path / "one.cfmf", tmp_path / "two.cfmf"):
        save(path, one)
    again = load(tmp_path / "one.cfmf")
    assert (tmp_path / "one.cfmf").read_bytes() == (tmp_path / "two.cfmf").read_bytes()
    assert again.about == one.about
    assert again.method.chosen_text() == one.method.chosen_text()
    pairs = np.indices(TRAIN.shape).reshape(2, -1)
    for a, b in zip(one.values(*pairs), again.values(*pairs), strict=True):
        assert a.tobytes() == b.tobytes()
    assert one.recommend(["user 0"], 3, 0.9, 2).equals(again.recommend(["user 0"], 3, 0.9, 2))
    if "fold_in" in registry.method(name).can:
        new = ["new"] * 3, [100, 101, 105], [5.0, 4.0, 1.0]
        known = [model.with_ratings(*new).predict(["new"], [110]) for model in (one, again)]
        assert known[0].equals(known[1])


def test_a_model_needs_neither_torch_nor_snakemake_nor_the_data(tmp_path):
    save(tmp_path / "model.cfmf", fitted("mf"))
    others = "torch jax snakemake jsonschema matplotlib requests statsmodels yaml plotly".split()
    command = [sys.executable, "-c", ASK_WITHOUT, str(tmp_path / "model.cfmf"), *others]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "'prediction'" in done.stdout


def test_unknown_ids_get_the_mean_and_the_bias_that_is_known(written):
    found = load(written)
    table = found.predict(["user 0", "nobody", "user 0", "nobody"], [101, 101, 7, 7], 0.9)
    mean, user, item = found.fallback.mean, found.fallback.user[0], found.fallback.item[1]
    expected = np.clip([mean + item, mean + user, mean], 1, 5)
    assert table["prediction"].to_numpy()[1:] == pytest.approx(expected, abs=1e-6)
    assert table["is_fallback"].tolist() == [False, True, True, True]
    assert (table["low"] <= table["prediction"]).all()
    assert (table["high"] <= 5).all()


@pytest.mark.parametrize("given", [100, "100", "0100", 100.0, np.int64(100)])
def test_whole_ids_are_found_however_they_are_written(written, given):
    assert load(written).names.numbers("item", [given]).tolist() == [0]


def test_recommendations_are_the_highest_predictions_of_what_is_not_rated(written):
    found = load(written)
    table = found.recommend(top=5)
    assert table.groupby("user", sort=False).size().eq(5).all()
    assert len(table) == 5 * TRAIN.shape[0]
    everything, _ = found.values(*np.indices(TRAIN.shape).reshape(2, -1))
    scores = np.where(TRAIN.toarray() > 0, -np.inf, everything.reshape(TRAIN.shape))
    for user, rows in table.groupby("user"):
        own = scores[NAMES.users.index(user)]
        assert own[rows["item"] - 100] == pytest.approx(np.sort(own)[::-1][:5])
    assert table["title"].tolist() == [f"Title {item - 100}" for item in table["item"]]


def test_an_interval_without_bound_is_the_scale(written):
    table = load(written).predict(["user 0"], [100], 0.99)
    assert table[["low", "high"]].to_numpy().tolist() == [[1, 5]]
    with pytest.raises(
        ValueError, match=r"no intervals with a coverage of 0\.5; it has 0\.9, 0\.99"
    ):
        load(written).radii(0.5)


@pytest.mark.parametrize(("scale", "digits"), [((1, 5), 2), ((0.001, 0.005), 5), ((1, 100), 1)])
def test_contributions_have_the_digits_of_the_scale(scale, digits):
    one = fitted("als")
    other = replace(one, about=one.about.model_copy(update={"scale": scale}))
    explained = "".join(other.recommend(top=1, explained=1)["explanation"])
    assert re.search(rf"[+-]\d+\.\d{{{digits}}}(?!\d)", explained)


def test_explanations_name_titles_and_users():
    one = fitted("item-knn")
    assert "Title" in "".join(one.recommend(top=3, explained=2)["explanation"])
    with pytest.raises(ValueError, match="knows no user nobody"):
        one.explain("nobody", 100)


@given(data=st.data())
def test_a_damaged_file_is_refused_or_is_the_same_model(written, tmp_path_factory, data):
    content = bytearray(written.read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        for _ in range(data.draw(st.integers(1, 3))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "model.cfmf"
    path.write_bytes(content)
    try:
        found = load(path)
    except ValueError as error:
        message = str(error)
    else:
        message = ""
        assert np.isfinite(found.values(np.array([0]), np.array([0]))[0]).all()
    assert not message or (str(path) in message and "\n" not in message)


def rewritten(source, target, change):
    """A copy of a model whose members went through a function, with right check sums."""
    with zipfile.ZipFile(source) as old:
        members = {one: old.read(one) for one in old.namelist()}
    change(members)
    with zipfile.ZipFile(target, "w") as new:
        for name, content in members.items():
            new.writestr(name, content)


def forge(members, name, change):
    """Put what a function makes of an array in its place."""
    content = io.BytesIO()
    found = change(np.load(io.BytesIO(members[f"{name}.npy"])))
    np.lib.format.write_array(content, np.asarray(found), (1, 0))
    members[f"{name}.npy"] = content.getvalue()


def about(**changes):
    def change(members):
        members["about.json"] = json.dumps(json.loads(members["about.json"]) | changes).encode()

    return change


def huge(members):
    header = members["fallback/user.npy"]
    members["fallback/user.npy"] = header.replace(b"(40,)", b"(9999999999999,)")[: len(header)]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (about(model="os:system"), "no method that is known"),
        (about(model="cfmf.saved:Saved"), "is no model"),
        (about(model="cfmf.nothing:Model"), "nothing"),
        (about(format="cfmf model 2"), "format"),
        (about(scale=[5, 1]), "scale"),
        (about(unknown=1), "unknown"),
        (lambda members: members.pop("users.json"), "no part 'users.json'"),
        (lambda members: members.pop("model/mean.npy"), "no part 'mean'"),
        (lambda members: members.update({"users.json": b"[[1]]"}), "users.json"),
        (lambda members: members.update({"users.json": b"[" * 10**5}), "."),
        (lambda members: members.update({"items.json": b"[1]"}), "."),
        (lambda members: members.update({"titles.json": b'["one"]'}), "items"),
        (huge, "."),
    ],
)
def test_a_file_that_claims_what_is_not_so_is_refused(written, tmp_path, change, why):
    path = tmp_path / "model.cfmf"
    rewritten(written, path, change)
    with pytest.raises(ValueError, match=why) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path} is not a readable model of cfmf")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("model/indices", lambda one: np.full_like(one, 10**6)),
        ("model/indices", lambda one: -np.ones_like(one)),
        ("model/indices", lambda one: one[::-1]),
        ("model/indptr", lambda one: one * 100),
        ("model/indptr", lambda one: one[:-1]),
        ("model/ratings", lambda one: one[:-1]),
        ("model/ratings", lambda one: one * np.nan),
        ("model/ratings", lambda one: one.astype(object)),
        ("model/user_bias", lambda one: one[:-1]),
        ("seen/indices", lambda one: np.full_like(one, 10**6)),
        ("fallback/item", lambda one: one[:-1]),
    ],
)
@pytest.mark.parametrize("method", ["item-knn", "item-linear"])
def test_arrays_that_compiled_loops_must_not_see_are_refused(method, name, found, tmp_path):
    save(tmp_path / "good.cfmf", fitted(method))
    rewritten(tmp_path / "good.cfmf", tmp_path / "bad.cfmf", lambda one: forge(one, name, found))
    with pytest.raises(ValueError, match="not a readable model"):
        load(tmp_path / "bad.cfmf")


FORGERIES = {
    "shorter": lambda one, at, number: one[: at % (len(one) + 1)] if one.ndim else one,
    "twice": lambda one, at, number: np.concatenate([one, one]) if one.ndim else one,
    "changed": lambda one, at, number: put(one, at, number),
}


def put(one, at, number):
    """An array with another value at a place."""
    one = one.copy()
    if one.dtype.kind == "U":
        return np.array("nonsense")
    limits = np.iinfo(one.dtype) if one.dtype.kind in "iu" else np.finfo("f4")
    if one.size and one.dtype.kind != "b":
        one.flat[at % one.size] = np.clip(number, float(limits.min) / 2, float(limits.max) / 2)
    return one


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    folder = tmp_path_factory.mktemp("good")
    names = ["baseline", "user-knn", "item-linear", "als", "gibbs-dated"]
    for name in names:
        save(folder / name, fitted(name))
    return [folder / name for name in names]


@given(data=st.data())
@settings(max_examples=150)
def test_forged_arrays_are_refused_or_harmless(good, tmp_path_factory, data):
    """No crash of a compiled loop, no other error, whatever the arrays hold."""
    source = data.draw(st.sampled_from(good))
    with zipfile.ZipFile(source) as file:
        arrays = sorted(one[:-4] for one in file.namelist() if one.endswith(".npy"))
    name = data.draw(st.sampled_from(arrays))
    how = FORGERIES[data.draw(st.sampled_from(sorted(FORGERIES)))]
    at = data.draw(st.integers(0, 10_000))
    number = data.draw(st.sampled_from([-1, 0, 1, 7, 1e6, 1e15, -1e15, 1e30, 1e300]))
    path = tmp_path_factory.mktemp("forged") / "model.cfmf"
    rewritten(source, path, lambda one: forge(one, name, lambda old: how(old, at, number)))
    try:
        found = load(path)
    except ValueError:
        return
    found.values(*np.indices(TRAIN.shape).reshape(2, -1))
    found.recommend(top=2, coverage=0.9)


def test_a_compressed_file_is_refused(written, tmp_path):
    """So that a few bytes cannot stand for gigabytes."""
    path = tmp_path / "model.cfmf"
    with zipfile.ZipFile(written) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for one in old.namelist():
            new.writestr(one, old.read(one))
    with pytest.raises(ValueError, match="compressed"):
        load(path)


def test_a_missing_file_is_reported():
    with pytest.raises(ValueError, match=r"nowhere\.cfmf does not exist"):
        load("nowhere.cfmf")


def test_a_model_without_a_form_to_be_saved_in_is_named(tmp_path, monkeypatch):
    one = fitted("baseline")

    def arrays(self):
        raise NotImplementedError("fit it again")

    monkeypatch.setattr(type(one.model), "arrays", arrays)
    with pytest.raises(ValueError, match="baseline has no form to be saved in: fit it again"):
        save(tmp_path / "model.cfmf", one)


def test_names_must_be_those_of_the_ratings():
    with pytest.raises(ValueError, match="39 and 30"):
        saved(
            fitted("baseline").model,
            registry.method("baseline")(),
            TRAIN,
            Names(range(39), range(30)),
        )
