"""A conda channel in a folder, of this machine's Python and of wheels: enough for envs/*.yaml.

    channel.py FOLDER WHEEL...

The packages are real ones (.conda, format 2, with a real repodata.json), so a real solver solves
against them and a real installer links them. What is inside is this Python and the package index's
wheels, not conda-forge's builds.
"""

import asyncio
import io
import json
import os
import re
import stat
import sys
import sysconfig
import tarfile
import zipfile
from hashlib import sha256
from pathlib import Path

import zstandard
from packaging.utils import parse_wheel_filename

VERSION = sysconfig.get_python_version()
TAG = "cp" + VERSION.replace(".", "")
LEFT_OUT = {"test", "tests", "__pycache__", "site-packages", "idlelib", "turtledemo", "ensurepip"}


def compressed(files, links=()):
    """A tar, zstd-compressed, of files (name → bytes, mode) and links (name → target)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, (content, mode) in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            archive.addfile(entry, io.BytesIO(content))
        for name, target in sorted(links):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, target, 0o777
            archive.addfile(entry)
    return zstandard.ZstdCompressor(level=1).compress(buffer.getvalue())


def write_package(channel, index, files, links=(), prefix=None, entry_points=()):
    """One .conda file; `prefix` is what an installer replaces in the text files that hold it."""
    index = {"build_number": 0, "constrains": [], "subdir": "linux-64", **index}
    paths = []
    for name, (content, _) in sorted(files.items()):
        path = {
            "_path": name,
            "path_type": "hardlink",
            "sha256": sha256(content).hexdigest(),
            "size_in_bytes": len(content),
        }
        if prefix and prefix in content and b"\0" not in content:
            path |= {"prefix_placeholder": prefix.decode(), "file_mode": "text"}
        paths.append(path)
    paths += [
        {"_path": name, "path_type": "softlink", "size_in_bytes": 0, "sha256": sha256().hexdigest()}
        for name, _ in links
    ]
    about = {
        "info/index.json": index,
        "info/about.json": {},
        "info/paths.json": {"paths": paths, "paths_version": 1},
    }
    if index.get("noarch") == "python":
        noarch = {"type": "python", "entry_points": list(entry_points)}
        about["info/link.json"] = {"noarch": noarch, "package_metadata_version": 1}
    stem = "{name}-{version}-{build}".format(**index)
    path = channel / index["subdir"] / f"{stem}.conda"
    path.parent.mkdir(parents=True, exist_ok=True)
    texts = {name: (json.dumps(value).encode(), 0o644) for name, value in about.items()}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", '{"conda_pkg_format_version": 2}')
        archive.writestr(f"pkg-{stem}.tar.zst", compressed(files, links))
        archive.writestr(f"info-{stem}.tar.zst", compressed(texts))


def write_python(channel):
    """This Python, relocated, as the package `python`."""
    prefix = Path(sys.base_prefix)
    program = f"python{VERSION}"
    files, links = {}, [("bin/python", program), ("bin/python3", program)]
    found = [prefix / "bin" / program, *(prefix / "lib").glob("libpython*.so*")]
    for folder, below, names in os.walk(prefix / "lib" / program):
        below[:] = [name for name in below if name not in LEFT_OUT]
        found += [Path(folder, name) for name in names if not name.endswith((".a", ".pyc"))]
    for path in found:
        name = str(path.relative_to(prefix))
        if path.is_symlink():
            links.append((name, os.readlink(path)))
            continue
        content = path.read_bytes()
        # An absolute place of libpython would lead back to this machine's own.
        own, relative = f"{prefix}/lib\0".encode(), b"$ORIGIN/" + b"../" * name.count("/") + b"lib"
        if content[:4] == b"\x7fELF" and own in content:
            content = content.replace(own, relative.ljust(len(own), b"\0"))
        files[name] = (content, stat.S_IMODE(path.stat().st_mode))
    files[f"lib/{program}/site-packages/README.txt"] = (b"", 0o644)
    index = {"name": "python", "build": f"0_{TAG}", "depends": []}
    full = ".".join(map(str, sys.version_info[:3]))
    write_package(channel, index | {"version": full}, files, links, str(prefix).encode())


def write_wheel(channel, wheel):
    """A wheel that runs on any Python, without dependencies: pip."""
    name, version, _, tags = parse_wheel_filename(wheel.name)
    assert all(tag.platform == "any" for tag in tags), wheel
    files, entry_points = {}, []
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.namelist():
            if entry.endswith("/entry_points.txt"):
                entry_points = re.findall(r"^(\S+ = \S+)$", archive.read(entry).decode(), re.M)
            if not entry.endswith(("/", ".dist-info/RECORD")):
                files[f"site-packages/{entry}"] = (archive.read(entry), 0o644)
    index = {"name": name, "version": str(version), "build": "0", "depends": ["python"]}
    index |= {"subdir": "noarch", "noarch": "python"}
    write_package(channel, index, files, entry_points=entry_points)


async def write_index(channel):
    import rattler.index

    await rattler.index.index_fs(channel, write_zst=False, write_shards=False, force=True)


if __name__ == "__main__":
    channel = Path(sys.argv[1]).resolve()
    write_python(channel)
    for wheel in sys.argv[2:]:
        write_wheel(channel, Path(wheel))
    asyncio.run(write_index(channel))
    sys.stdout.flush()
    os._exit(0)  # py-rattler's threads can abort the interpreter's own end
