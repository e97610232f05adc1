"""The report says what studies of other sizes could detect, for every population."""

from types import SimpleNamespace

import pandas as pd
import pytest

from cfmf.report.page import Points, Table, every
from cfmf.report.sections import designs
from cfmf.report.strings import Catalogue, number
from cfmf.statistics import planning
from cfmf.statistics.names import POPULATIONS
from cfmf.statistics.populations import Components
from cfmf.tables import COLUMNS

FOUND = Components(0.01, 5, 25e-6, (6e-6, 0.4e-12), (5e-6, 0.5e-12), 4e-6)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_population_and_design_is_shown(language):
    sources = planning.sources(FOUND, 100, (0.0, 0.0))
    table = planning.planning(sources, 0.01, {"alpha": 0.05, "power": 0.8})
    table = table.assign(group_a="mf", group_b="user-knn")[COLUMNS["planning"]]
    study = SimpleNamespace(table={"planning": table}.get)
    blocks = list(every(designs.blocks(study, Catalogue(language))))
    (points,) = (one for one in blocks if isinstance(one, Points))
    assert len(points.items) == len(POPULATIONS)
    for population, item in zip(POPULATIONS, points.items, strict=True):
        rows = table[table["population"] == population]
        for value in (rows["detectable"].max(), rows["detectable"].min()):
            assert number(value, "rmse") in item
    (shown,) = (one for one in blocks if isinstance(one, Table))
    assert len(shown.rows) == len(table)


def test_nothing_is_shown_without_the_table():
    study = SimpleNamespace(table=lambda name: pd.DataFrame())
    assert designs.blocks(study, Catalogue("en")) == []
