"""Zips a Pulumi archive for Lambda: the same files give the same bytes."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pulumi


def zipped(archive: pulumi.Archive) -> bytes:
    """Zip an archive of files or of zip files. The same content gives the same bytes.

    Raises:
        ValueError: The archive, or a part of it, is not on this machine.
    """
    return zipped_files(unzipped(archive))


def unzipped(archive: pulumi.Archive) -> dict[str, bytes]:
    """Return the contents of an archive by their names.

    Raises:
        ValueError: The archive, or a part of it, is not on this machine.
    """
    return dict(_files(archive, ""))


def zipped_files(files: Mapping[str, bytes], *, level: int | None = None) -> bytes:
    """Zip contents by their names, which are sorted, with one date for all.

    Args:
        files: The contents.
        level: The compression, 1 (fast) to 9 (small); zlib's default when not given.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as packed:
        for name, content in sorted(files.items()):
            entry = zipfile.ZipInfo(name)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            packed.writestr(entry, content, compresslevel=level)
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
        case pulumi.FileArchive() if zipfile.is_zipfile(part.path):
            with zipfile.ZipFile(part.path) as packed:
                for member in packed.namelist():
                    yield f"{name}/{member}" if name else member, packed.read(member)
        case _:
            raise ValueError(
                f"{name or 'code'} is a {type(part).__name__}: list the files of an archive one by one, "
                "as FileAsset or StringAsset in an AssetArchive"
            )
