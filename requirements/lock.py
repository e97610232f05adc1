"""Write the locks and the stages' environments from requirements/stages.yaml and this Python.

`python requirements/lock.py` writes requirements/{study,develop,docs}.txt and envs/*.yaml with the
exact versions installed here, direct and transitive; `--check` only says what differs. The lock of
what checks the code or builds the documentation stays as it is where that is not installed here.

Environments without torch hold the hashes of their wheels too, asked of the package index when a
version changes. With torch there is no one hash to hold: its CPU build, its CUDA build and what
these need are other files under the same version, and pip checks the hashes of all or of none.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
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
# What wheels are hashed for. Names of older systems beside newer ones, as one wheel may be for
# those, and another, faster one for these.
PLATFORMS = [
    *(
        [f"manylinux_2_{glibc}_{machine}" for glibc in range(newest, 16, -1)]
        for machine in ("x86_64", "aarch64")
        for newest in (39, 28)
    ),
    *([f"macosx_{version}_0_arm64"] for version in (12, 14, 15)),
]
PYTHON = "3.11"  # of the environments


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
    chosen = dict(name.split("==") for name in names if "==" in name)
    found = closure([name for name in names if "==" not in name and name not in chosen]) | chosen
    lines = [f"{name}=={version}" for name, version in found.items()]
    return sorted(lines, key=lambda line: line.split("==")[0])


def wheel_hashes(lines: list[str]) -> dict[str, list[str]]:
    """SHA-256 of the wheels that pip would take on each of `PLATFORMS`, by their line.

    Raises
    ------
    SystemExit
        If the package index cannot be asked, or has no wheel for one of them.
    """
    found: dict[str, set[str]] = {line: set() for line in lines}
    for platforms in PLATFORMS:
        with tempfile.TemporaryDirectory() as folder:
            told = Path(folder, "report.json")
            done = subprocess.run(
                [
                    *(sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed"),
                    *("--no-deps", "--only-binary", ":all:", "--quiet", "--target", folder),
                    *("--python-version", PYTHON, "--implementation", "cp"),
                    *(part for platform in platforms for part in ("--platform", platform)),
                    *("--report", str(told), *lines),
                ],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise SystemExit(f"No hashes for {platforms[0]}: {done.stderr}")
            wheels = json.loads(told.read_text())["install"]
        for wheel in wheels:
            name, version = (
                canonicalize_name(wheel["metadata"]["name"]),
                wheel["metadata"]["version"],
            )
            found[f"{name}=={version}"].add(
                wheel["download_info"]["archive_info"]["hashes"]["sha256"]
            )
    return {line: sorted(hashes) for line, hashes in found.items()}


def hashed(path: Path, lines: list[str], ask: bool) -> list[str]:
    """The lines with their hashes: those that the file at `path` holds, or what the index says.

    Where they are not held and `ask` is false, the lines as they are.
    """
    if any(line.startswith("torch==") for line in lines):
        return lines
    held = yaml.safe_load(path.read_text())["dependencies"][-1]["pip"] if path.exists() else []
    if [line.split(" ")[0] for line in held] == lines and all("--hash" in line for line in held):
        return held
    if not ask:
        return lines
    return [
        " ".join([line, *(f"--hash=sha256:{value}" for value in hashes)])
        for line, hashes in wheel_hashes(lines).items()
    ]


def locks(ask: bool) -> dict[Path, str]:
    """Every file to write, with its text; with `ask`, the package index may be asked for hashes."""
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
        lines, first = [line for line in pins(names) if line not in study], "-r study.txt\n"
        if {line.split("==")[0] for line in lines} & {line.split("==")[0] for line in study}:
            # Another version than the study's: a lock of its own, for a Python of its own.
            lines, first = [line for line in pins([*direct, *names]) if line[:5] != "pip=="], ""
        texts[ROOT / f"requirements/{name}.txt"] = head + first + "\n".join(lines) + "\n"
    for stage, names in {**stages, **source["optional"]}.items():
        path = ROOT / f"envs/{stage}.yaml"
        lines = hashed(path, pins([name for name in names if name != "pip"]), ask)
        env = {
            "channels": ["conda-forge"],
            "dependencies": [f"python={PYTHON}", "pip", {"pip": lines}],
        }
        texts[path] = yaml.safe_dump(env, sort_keys=False)
    return texts


def main() -> int:
    """Write the files, or say which differ; the exit status tells whether any did."""
    check = "--check" in sys.argv
    made = locks(ask=not check)
    differing = [
        path for path, text in made.items() if not path.exists() or path.read_text() != text
    ]
    for path in differing:
        print(path.relative_to(ROOT), "differs" if check else "written")
        if not check:
            path.write_text(made[path])
    return int(check and bool(differing))


if __name__ == "__main__":
    sys.exit(main())
