"""What the optional parts of cfmf need, and the error where that is not installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

EXTRAS = {
    "torch": ["torch"],
    "jax": ["jax"],
    "spark": ["pyspark"],
    "peers": ["cornac", "lenskit", "myfm", "surprise"],
    "statistics": ["scikit_posthocs", "statsmodels"],
    "report": ["jinja2", "markupsafe", "matplotlib", "plotly", "yaml"],
    "workflow": ["jsonschema", "optuna", "requests", "rocrate", "snakemake", "urllib3"],
}
"""The modules that each extra of the package brings, by its name in pyproject.toml."""


class MissingExtraError(ModuleNotFoundError):
    """A package of an extra is not installed; the message says how to install it."""


@contextmanager
def explained() -> Iterator[None]:
    """Within it, an import of a package that an extra brings fails with the name of the extra.

    Raises
    ------
    MissingExtraError
        In place of Python's own error, for the modules of `EXTRAS`.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        extra = next((extra for extra, modules in EXTRAS.items() if module in modules), None)
        if extra is None or isinstance(error, MissingExtraError):
            raise
        raise MissingExtraError(
            f"this needs {module}, which is not installed; pip install 'cfmf[{extra}]' installs it",
            name=module,
        ) from error
