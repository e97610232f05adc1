"""The report: reads what the stages wrote and puts it into words, tables and figures."""

from pathlib import Path

from cfmf.imports import ROOT

INSTALLED = Path(__file__).with_name("assets")
ASSETS = INSTALLED if INSTALLED.is_dir() else ROOT / "report"
"""Texts and templates: of a checkout `report/`, which setup.py makes a part of the package."""
