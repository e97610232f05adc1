"""The command: what it prints and writes, and one plain error for what it cannot use."""

import logging
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from cfmf.cli import main


@pytest.fixture(scope="module", autouse=True)
def logging_as_before():
    """The command sets what its process logs; here that is the process of the other tests."""
    loggers = [logging.getLogger(name) for name in (None, "cfmf.data")]
    before = [(one.level, list(one.handlers)) for one in loggers]
    yield
    for logger, (level, handlers) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.handlers[:] = handlers


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Ratings, pairs, titles that a spreadsheet would compute, and a fitted model."""
    folder = tmp_path_factory.mktemp("cli")
    rng = np.random.default_rng(0)
    user, item = np.nonzero(rng.random((30, 20)) < 0.6)
    frame = pd.DataFrame({"user": user, "item": item, "rating": rng.integers(1, 6, len(user))})
    frame.to_csv(folder / "ratings.csv", index=False)
    frame.sample(20, random_state=1).to_csv(folder / "pairs.csv", index=False)
    titles = [f"={one}+1" for one in range(20)]
    pd.DataFrame({"item": range(20), "title": titles}).to_csv(folder / "titles.csv", index=False)
    (folder / "broken.csv").write_text("user,item,rating\n1,1,3\n1,2,x\n")
    (folder / "broken.cfmf").write_bytes(b"PK\x03\x04 nothing")
    (folder / "new.csv").write_text("user,item,rating\nnew,1,5\nnew,2,4\nnew,3,5\n")
    fit = ["fit", "ratings.csv", "-o", "model.cfmf", "--method", "baseline"]
    assert called(folder, *fit, "--titles", "titles.csv", "-q") == 0
    return folder


def called(folder, *words):
    files = {one.name: str(one) for one in folder.iterdir()}
    new = ("model.cfmf", "out.csv", "out.tsv", "out.parquet", "out.jsonl", "out.doc", "no.csv")
    files = {one: str(folder / one) for one in new} | files
    return main([files.get(word, word) for word in words])


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["predict", "model.cfmf", "pairs.csv"], "user,item,prediction,low,high,is_fallback"),
        (["predict", "model.cfmf", "pairs.csv", "--coverage", "0"], "user,item,prediction,is"),
        (["recommend", "model.cfmf", "--users", "3", "--top", "2"], "3,2,"),
        (["recommend", "model.cfmf", "--users", "3", "--explain", "1"], "explanation"),
        (["recommend", "model.cfmf", "--users", "nobody", "--top", "1"], "True"),
        (["recommend", "model.cfmf", "--ratings", "new.csv", "--users", "new"], "False"),
        (["explain", "model.cfmf", "3", "4"], "predicted"),
        (["evaluate", "model.cfmf", "ratings.csv"], "coverage_0.9"),
        (["compare", "ratings.csv", "--methods", "baseline", "--folds", "2"], "difference_low"),
    ],
    ids=lambda one: " ".join(one) if isinstance(one, list) else "",
)
def test_a_command_prints_its_table(folder, words, shown, capsys):
    assert called(folder, *words) == 0
    assert shown in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["fit", "broken.csv", "-o", "out.cfmf"], "1,2,x"),
        (["fit", "no.csv", "-o", "out.cfmf"], "does not exist"),
        (["fit", "ratings.csv", "-o", "out.cfmf", "--method", "nothing"], "there are baseline"),
        (["fit", "ratings.csv", "-o", "out.cfmf", "--method", "als", "--set", "k=0"], "k: Input"),
        (["fit", "ratings.csv", "-o", "out.cfmf", "--set", "k"], "not of the form name=value"),
        (["fit", "ratings.csv", "-o", "out.cfmf", "--scale", "2", "4"], "outside the scale"),
        (["fit", "ratings.csv", "-o", "out.cfmf", "--columns", "date=2"], "--columns names date"),
        (["fit", "ratings.csv", "-o", "out.cfmf", "--threads", "0"], "--threads must be"),
        (["predict", "broken.cfmf", "pairs.csv"], "not a readable model"),
        (["predict", "model.cfmf", "no.csv"], "does not exist"),
        (["predict", "model.cfmf", "pairs.csv", "--coverage", "0.5"], "it has 0.8, 0.9, 0.95"),
        (["predict", "model.cfmf", "pairs.csv", "-o", "out.doc"], "must end in .csv"),
        (["recommend", "model.cfmf", "--top", "0"], "give 1 or more"),
        (["explain", "model.cfmf", "3", "film"], "knows no item film"),
        (["evaluate", "pairs.csv", "ratings.csv"], "needs one named prediction"),
        (["compare", "ratings.csv", "--methods", "baseline", "--folds", "1"], "1 folds"),
    ],
    ids=lambda one: " ".join(one) if isinstance(one, list) else "",
)
def test_what_cannot_be_used_is_one_plain_error(folder, words, why, capsys):
    assert called(folder, *words, "-q") == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"cfmf {words[0]}: ")
    assert why in captured.err
    assert "Traceback" not in captured.err
    assert not (folder / "out.cfmf").exists()


@pytest.mark.parametrize("name", ["out.csv", "out.tsv", "out.parquet", "out.jsonl"])
def test_tables_are_written_in_each_format(folder, name):
    assert called(folder, "recommend", "model.cfmf", "--top", "3", "-o", name) == 0
    readers = {
        "csv": pd.read_csv,
        "tsv": lambda path: pd.read_csv(path, sep="\t"),
        "parquet": pd.read_parquet,
        "jsonl": lambda path: pd.read_json(path, lines=True),
    }
    found = readers[name.rpartition(".")[2]](folder / name)
    assert len(found) == 90
    formula = found["title"].str.startswith("=").all()
    # A spreadsheet computes the cells of a text file, and of no other.
    assert formula == (name not in ("out.csv", "out.tsv"))


def test_a_file_of_ratings_is_enough_to_recommend(folder):
    """One command, in a process of its own."""
    command = [sys.executable, "-m", "cfmf", "recommend", str(folder / "ratings.csv")]
    done = subprocess.run(
        [*command, "--users", "3", "--top", "2", "--method", "baseline"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[0].startswith("user,rank,item,title,prediction")
    assert len(done.stdout.splitlines()) == 3
    assert "validation RMSE" in done.stderr


@pytest.mark.parametrize("words", [["--help"], ["fit", "--help"], ["recommend", "--help"]])
def test_help_teaches_by_examples(words, capsys):
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 0
    assert "cfmf" in capsys.readouterr().out
