"""What a part of the package that a config can switch off adds to the report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cfmf.report.context import Files, Study, load
from cfmf.report.page import Block
from cfmf.report.strings import CATALOGUES, Catalogue

Blocks = Callable[[Study, Catalogue], list[Block]]


@dataclass(frozen=True)
class Extension:
    """Sections, parts of sections and words that are in the report where the extension is used.

    Attributes
    ----------
    strings
        Folder with a catalogue for each language. A text replaces the report's own of that key.
    load
        Adds what else it reads from a data set's results to the study.
    sections
        By name, the section after which each new one comes, and what makes its blocks.
    additions
        By the name of a section of the report, what makes blocks for its end.
    """

    strings: Path
    load: Callable[[Study, Files], Study]
    sections: Mapping[str, tuple[str, Blocks]] = field(default_factory=dict)
    additions: Mapping[str, Blocks] = field(default_factory=dict)


def extended(
    order: Mapping[str, Blocks], extensions: Sequence[Extension]
) -> dict[str, list[Blocks]]:
    """The makers of every section by its name, in reading order."""
    makers = {name: [make] for name, make in order.items()}
    for extension in extensions:
        for name, (before, make) in extension.sections.items():
            names = list(makers)
            names.insert(names.index(before) + 1, name)
            makers = {one: makers.get(one, [make]) for one in names}
        for name, make in extension.additions.items():
            makers[name] = [*makers[name], make]
    return makers


def load_extended(files: Files, extensions: Sequence[Extension] = ()) -> Study:
    """Read the results of one data set, those of the extensions too; raises as `load` does."""
    study = load(files)
    for extension in extensions:
        study = extension.load(study, files)
    return study


def catalogue(language: str, extensions: Sequence[Extension] = ()) -> Catalogue:
    """The texts of the report and of its extensions in one language."""
    return Catalogue(language, CATALOGUES, *(extension.strings for extension in extensions))
