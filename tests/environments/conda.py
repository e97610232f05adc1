"""A stand-in for the `conda` command, for machines that cannot have it.

It answers the calls that Snakemake makes and does them with py-rattler: a real solve of the env
file against the channels' repodata, a real link of the packages into the prefix, and pip for the
`pip:` section. What it cannot show: conda-forge's own builds, activation scripts, conda's own
command line.

    conda --version | info --json | config --get channel_priority --json
    conda env create … --file FILE --prefix PREFIX

CONDA_CHANNEL_ALIAS is what the bare name of a channel is put after, as conda's channel_alias.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

ROOT = Path(sys.argv[0]).resolve().parent.parent
CACHE = ROOT / "pkgs"


def option(*names):
    return next(sys.argv[sys.argv.index(name) + 1] for name in names if name in sys.argv)


async def link(channels, specs, prefix):
    import rattler

    alias = rattler.ChannelConfig(channel_alias=os.environ["CONDA_CHANNEL_ALIAS"] + "/")
    records = await rattler.solve(
        [rattler.Channel(channel, alias) for channel in channels],
        [rattler.MatchSpec(spec) for spec in specs],
        platforms=["linux-64", "noarch"],
        virtual_packages=rattler.VirtualPackage.detect(),
        channel_priority=rattler.ChannelPriority.Strict,
    )
    await rattler.install(records, prefix, cache_dir=CACHE, show_progress=False)
    Path(prefix, "conda-meta/history").touch()


def create(file, prefix):
    if os.path.exists(prefix):
        raise SystemExit(f"CondaValueError: prefix already exists: {prefix}")
    env = yaml.safe_load(Path(file).read_text())
    if unknown := set(env) - {"name", "channels", "dependencies"}:
        raise SystemExit(f"EnvironmentSectionNotValid: {sorted(unknown)}")
    specs = [entry for entry in env["dependencies"] if isinstance(entry, str)]
    pip = [
        line for entry in env["dependencies"] if isinstance(entry, dict) for line in entry["pip"]
    ]
    asyncio.run(link(env["channels"], specs, prefix))
    # As conda does it, but that what is imported gets compiled then: half of the time is saved.
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as wanted:
        wanted.write("\n".join(pip) + "\n")
        wanted.flush()
        own = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
        subprocess.run(
            [
                *(f"{prefix}/bin/python", "-m", "pip", "install", "-U", "-r", wanted.name, "-q"),
                "--no-compile",
            ],
            check=True,
            cwd=Path(file).parent,
            env={name: value for name, value in os.environ.items() if name not in own},
        )


def main(command):
    if "--version" in command:
        print("conda 24.11.0")
    elif command[0] == "info":
        print(
            json.dumps(
                {"conda_prefix": str(ROOT), "root_prefix": str(ROOT), "platform": "linux-64"}
            )
        )
    elif command[0] == "config":
        print(json.dumps({"get": {"channel_priority": "strict"}}))
    elif command[:2] == ["env", "create"]:
        create(option("--file", "-f"), os.path.abspath(option("--prefix", "-p")))
    elif command[0] != "clean":
        raise SystemExit(f"stand-in for conda: it does not know {' '.join(command)}")


if __name__ == "__main__":
    status = 0
    try:
        main(sys.argv[1:])
    except subprocess.CalledProcessError:
        print("CondaEnvException: Pip failed", file=sys.stderr)
        status = 1
    except SystemExit as end:
        print(end, file=sys.stderr)
        status = 1
    except Exception as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        status = 1
    sys.stdout.flush()
    os._exit(status)  # py-rattler's threads can abort the interpreter's own end
