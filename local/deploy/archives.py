"""Zips a Pulumi archive for Lambda: the same files give the same bytes."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pulumi


def zipped(archive: pulumi.Archive) -> bytes:
    """Zip an archive. Names are sorted and every file has one date, so that only content counts.

    Raises:
        ValueError: The archive, or a part of it, is not on this machine.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in sorted(_files(archive, "")):
            entry = zipfile.ZipInfo(name)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            packed.writestr(entry, content)
    return buffer.getvalue()


def _files(part: Any, name: str) -> Iterator[tuple[str, bytes]]:
    match part:
        case pulumi.AssetArchive():
            for member, content in part.assets.items():
                yield from _files(content, f"{name}/{member}" if name else member)
        case pulumi.FileAsset():
            yield name, Path(part.path).read_bytes()
        case pulumi.StringAsset():
            yield name, part.text.encode()
        case _:
            raise ValueError(
                f"{name or 'code'} is a {type(part).__name__}: list the files of an archive one by one, "
                "as FileAsset or StringAsset in an AssetArchive"
            )
