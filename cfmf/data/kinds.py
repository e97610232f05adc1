"""What a file is by its first bytes, for messages about files that are not what they should be."""

from __future__ import annotations

import re
from pathlib import Path

HEAD_BYTES = 512
# The beginning of a file, what it is, and the ending by which it is read if it is read at all.
BEGINNINGS: tuple[tuple[bytes, str, str], ...] = (
    (rb"\x1f\x8b", "a gzip file", ".gz"),
    (rb"BZh[1-9](1AY&SY|\x17rE8P\x90)", "a bzip2 file", ".bz2"),
    (rb"\xfd7zXZ\0", "an xz file", ".xz"),
    (rb"\x28\xb5\x2f\xfd", "a Zstandard file", ".zst"),
    (rb"PK\x03\x04.{26}.{0,480}(\[Content_Types\]|xl/)", "an Excel workbook", ""),
    (rb"PK(\x03\x04|\x05\x06)", "a ZIP archive", ".zip"),
    (rb".{257}ustar", "a tar archive", ".tar"),
    (rb"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", ""),
    (rb"Rar!\x1a\x07", "a RAR archive", ""),
    (rb"PAR1[\x15\x00]", "a Parquet file", ".parquet"),
    (rb"ARROW1\0\0|FEA1", "an Arrow file", ""),
    (rb"\x89HDF\r\n\x1a\n", "an HDF5 file", ""),
    (rb"\x93NUMPY", "a NumPy array", ""),
    (rb"\x80[\x02-\x05](\x95|[\]}c(])", "a Python pickle", ""),
    (rb"SQLite format 3\0", "an SQLite database", ""),
    (rb"MATLAB [57]\.", "a MATLAB file", ""),
    (rb"Obj\x01", "an Avro file", ""),
    (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Office document", ""),
    (rb"%PDF-", "a PDF document", ""),
    (rb"\x89PNG\r\n|\xff\xd8\xff|GIF8[79]a", "a picture", ""),
    (rb"version https://git-lfs", "a Git LFS pointer in the place of the file", ""),
    (rb"(\xef\xbb\xbf)?\s*<(!doctype html|html|head|body|\?xml)", "a web page", ""),
)


def kind_of(path: Path) -> tuple[str, str]:
    """What a file is, such as "a gzip file", and the ending that such a file is read by.

    Both are empty if the first bytes are of no known kind, as those of text; the ending alone if
    such files cannot be read.
    """
    with open(path, "rb") as file:
        head = file.read(HEAD_BYTES)
    for beginning, kind, ending in BEGINNINGS:
        if re.match(beginning, head, re.DOTALL | re.IGNORECASE):
            return kind, ending
    return "", ""
