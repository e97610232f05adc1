"""Data set blocks completed from the schema, and raw folders."""

import pytest

from cfmf.data.formats import read
from cfmf.data.sources import retrieve
from cfmf.workflow import config
from cfmf.workflow.config import completed


@pytest.fixture(scope="session")
def schema():
    """Schema of one data set's config block."""
    return config.schema()["properties"]["datasets"]["additionalProperties"]


@pytest.fixture(scope="session")
def dataset():
    """Complete config block of a data set, as the check of a config makes it."""
    return lambda **block: completed(block)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory, dataset):
    """Raw folder of the tiny synthetic data set."""
    raw = tmp_path_factory.mktemp("tiny") / "raw"
    retrieve(dataset(source="synthetic"), raw)
    return raw


@pytest.fixture(scope="session")
def drop_all():
    """An `audit` block that leaves out whatever can be left out."""
    checks = "malformed off_scale duplicates test_in_train unknown_user unmatched_probe"
    return dict.fromkeys(checks.split(), "drop")


@pytest.fixture
def subset(tmp_path, dataset):
    """Reads four files of the study's layout, each as in `subset.files` or as given."""
    names = {
        "train": "netflix_train.txt",
        "test": "netflix_test.txt",
        "users": "users.txt",
        "titles": "movie_titles.txt",
    }
    files = {
        "train": b"7 2 3 2005-01-01\r\n7 5 4 2005-01-02\r\n9 2 1 2005-01-03\r\n",
        "test": b"9 5 5 2005-02-01\r\n3 2 2 2005-02-02\r\n",
        "users": b"7\r\n3\r\n9\r\n",
        "titles": "2,1999,Café, or So\n5,NULL,Nil\n6,2001,Unrated\n".encode("iso-8859-1"),
    }

    def read_subset(audit=None, subset=None, **changed):
        for part, content in (files | changed).items():
            path = tmp_path / names[part]
            path.write_bytes(content)
        block = dataset(source="netflix-subset", audit=audit or {}, subset=subset or {})
        return read(tmp_path, block)

    read_subset.files = files
    return read_subset
