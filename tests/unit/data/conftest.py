"""Data set blocks completed from the schema, raw folders, and where the real files are."""

import os
from pathlib import Path

import pytest
import yaml

from cfmf.data.sources import retrieve

SCHEMA = Path(__file__).parents[3] / "schemas" / "dataset.schema.yaml"


def completed(block, schema):
    block = dict(block)
    for key, one in schema["properties"].items():
        if key not in block and "default" in one:
            block[key] = one["default"]
        if one.get("type") == "object":
            block[key] = completed(block[key], one)
    return block


@pytest.fixture(scope="session")
def schema():
    """Schema of one data set's config block."""
    return yaml.safe_load(SCHEMA.read_text("utf-8"))["$defs"]["dataset"]


@pytest.fixture(scope="session")
def dataset(schema):
    """Complete config block of a data set, as Snakemake's validation makes it."""
    return lambda **block: completed(block, schema)


@pytest.fixture(scope="session")
def real_data():
    """Folder of the real files; the test is skipped, saying so, where there is none."""
    folder = os.environ.get("CFMF_REAL_DATA")
    if not folder:
        pytest.skip("CFMF_REAL_DATA is not set")
    return Path(folder)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory, dataset):
    """Raw folder of the tiny synthetic data set."""
    raw = tmp_path_factory.mktemp("tiny") / "raw"
    retrieve(dataset(source="synthetic"), raw)
    return raw
