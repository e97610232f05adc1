"""Checkouts of the workflow, and one whole run of the tiny study."""

import pytest

from tests.checkout import Checkout


@pytest.fixture
def checkout(tmp_path):
    return Checkout(tmp_path)


@pytest.fixture(scope="session")
def study(tmp_path_factory):
    """The tiny study, run from raw data to report; to look at only."""
    checkout = Checkout(tmp_path_factory.mktemp("study"))
    status, output = checkout.tiny()
    assert status == 0, output
    checkout.output = output
    return checkout
