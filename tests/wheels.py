"""Wheels made on the spot, and locks that name them: packages of handlers without a registry."""

from __future__ import annotations

import hashlib
import sys
import sysconfig
import zipfile
from pathlib import Path

#: The tag of wheels that run on Lambda (Python 3.13 on Graviton), and of those that run on this machine.
LAMBDA = "cp313-cp313-manylinux_2_28_aarch64"
HERE = f"cp3{sys.version_info.minor}-cp3{sys.version_info.minor}-{sysconfig.get_platform().replace('-', '_')}"


def wheel(directory: Path, name: str, source: str, *, tag: str = "py3-none-any", version: str = "1.0") -> Path:
    """Write a wheel with one module."""
    path = directory / f"{name}-{version}-{tag}.whl"
    metadata = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr(f"{name}.py", source)
        packed.writestr(f"{metadata}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        packed.writestr(f"{metadata}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
        packed.writestr(f"{metadata}/RECORD", "")
    return path


def lock(path: Path, *wheels: Path, hashes: bool = True) -> Path:
    """Write a lock of wheels in one directory."""
    lines = [f"--no-index\n--find-links {wheels[0].parent}"]
    for name in dict.fromkeys(each.name.split("-")[0] for each in wheels):
        digests = [hashlib.sha256(each.read_bytes()).hexdigest() for each in wheels if each.name.startswith(f"{name}-")]
        lines.append(" ".join([f"{name}==1.0", *(f"--hash=sha256:{digest}" for digest in digests if hashes)]))
    path.write_text("\n".join(lines) + "\n")
    return path
