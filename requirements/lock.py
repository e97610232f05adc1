"""Write the locks and the stages' environments from requirements/stages.yaml and this Python.

`python requirements/lock.py` writes requirements/{study,develop,docs}.txt and envs/*.yaml with the
exact versions installed here, direct and transitive; `--check` only says what differs. The lock of
what checks the code or builds the documentation stays as it is where that is not installed here.
"""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, distribution, distributions
from pathlib import Path

import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
# A lock serves every Python and system that users have, so a dependency counts if any needs it.
SYSTEMS = [
    {**default_environment(), "python_version": python, "python_full_version": f"{python}.0", **at}
    for python in ("3.11", "3.12", "3.13", "3.14")
    for at in (
        {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": "x86_64"},
        {"sys_platform": "darwin", "platform_system": "Darwin", "platform_machine": "arm64"},
    )
]


def closure(names: list[str]) -> dict[str, str]:
    """Versions of the named packages and of all they need, as installed here.

    What some system needs and this one has not installed is left out: such are the parts of
    torch's CUDA build, whose exact versions torch itself demands.
    """
    versions: dict[str, str] = {}
    ahead = [Requirement(name) for name in names]
    seen = set()
    while ahead:
        wanted = ahead.pop()
        name = canonicalize_name(wanted.name)
        if (name, frozenset(wanted.extras)) in seen:
            continue
        seen.add((name, frozenset(wanted.extras)))
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue
        versions[name] = found.version.split("+")[0]  # 2.13.0+cpu and +cu130 are one release
        for text in found.requires or []:
            need = Requirement(text)
            if not need.marker or any(
                need.marker.evaluate({**system, "extra": extra})
                for system in SYSTEMS
                for extra in {"", *wanted.extras}
            ):
                ahead.append(need)
    return dict(sorted(versions.items()))


def installed(names: list[str]) -> bool:
    """Whether all of the named packages are installed here; those with a version need not be."""
    held = {canonicalize_name(found.metadata["Name"]) for found in distributions()}
    wanted = {canonicalize_name(Requirement(name).name) for name in names if "==" not in name}
    return held >= wanted


def pins(names: list[str]) -> list[str]:
    """`closure` as lines of a requirements file; a name with its version stays as it is."""
    chosen = [name for name in names if "==" in name]
    found = closure([name for name in names if name not in chosen])
    lines = [*chosen, *(f"{name}=={version}" for name, version in found.items())]
    return sorted(lines, key=lambda line: line.split("==")[0])


def locks() -> dict[Path, str]:
    """Every file to write, with its text."""
    source = yaml.safe_load((ROOT / "requirements/stages.yaml").read_text())
    stages = source["stages"]
    direct = source["host"] + [name for names in stages.values() for name in names]
    if not installed(direct):
        raise SystemExit(
            "Not everything of `stages` and `host` is installed here; `make study` first."
        )
    study = pins(direct)
    study = [line for line in study if not line.startswith("pip==")]  # a venv brings its own
    develop = [line for line in pins(source["develop"]) if line not in study]
    docs = [line for line in pins(source["docs"]) if line not in study]
    head = "# Written by `make lock` from requirements/stages.yaml; do not edit.\n"
    texts = {
        ROOT / "requirements/study.txt": head + "\n".join(study) + "\n",
    }
    if installed(source["develop"]):
        text = head + "-r study.txt\n" + "\n".join(develop) + "\n"
        texts[ROOT / "requirements/develop.txt"] = text
    if installed(source["docs"]):
        texts[ROOT / "requirements/docs.txt"] = head + "-r study.txt\n" + "\n".join(docs) + "\n"
    for name, names in source["optional"].items():
        lines = [line for line in pins(names) if line not in study]
        texts[ROOT / f"requirements/{name}.txt"] = head + "-r study.txt\n" + "\n".join(lines) + "\n"
    for stage, names in {**stages, **source["optional"]}.items():
        env = {
            "channels": ["conda-forge"],
            "dependencies": [
                "python=3.11",
                "pip",
                {"pip": pins([name for name in names if name != "pip"])},
            ],
        }
        texts[ROOT / f"envs/{stage}.yaml"] = yaml.safe_dump(env, sort_keys=False)
    return texts


def main() -> int:
    """Write the files, or say which differ; the exit status tells whether any did."""
    made = locks()
    differing = [
        path for path, text in made.items() if not path.exists() or path.read_text() != text
    ]
    for path in differing:
        print(path.relative_to(ROOT), "differs" if "--check" in sys.argv else "written")
        if "--check" not in sys.argv:
            path.write_text(made[path])
    return int(bool(differing)) if "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
