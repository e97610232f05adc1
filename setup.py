"""What pyproject.toml cannot say: the texts and templates in report/ are a part of the package."""

from setuptools import find_packages, setup

ASSETS = "cfmf.report.assets"

setup(
    packages=[*find_packages(include=["cfmf*"]), ASSETS],
    package_dir={ASSETS: "report"},
    package_data={
        "cfmf": ["py.typed"],
        "cfmf.workflow": ["costs.tsv"],
        "cfmf.published": ["printed.yaml", "quotes.yaml", "strings/*"],
        ASSETS: ["*.tsv", "*.yaml", "vendor/*", "strings/*", "templates/*"],
    },
)
