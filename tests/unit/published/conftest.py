"""Tests of the published study share the rating matrices of the neighbour methods' tests."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "neighbours"))
