"""Gathers the policy pack into `dist/policies`, which runs outside the clone, and packs it into a versioned archive.

`make policy-pack` runs it. The archive and its checksums are what a release publishes: the same sources give the same
bytes.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import shutil
import tarfile
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
PACK = ROOT / "policies"

#: The packages of this project that the pack imports.
BORROWED = ("aws_semantics",)

#: The file with the checksum of each file of the pack, in the form that `sha256sum --check` reads.
CHECKSUMS = "SHA256SUMS"


def gather(target: Path) -> None:
    """Write the pack into an empty folder.

    Args:
        target: The folder; its content is removed first.
    """
    shutil.rmtree(target, ignore_errors=True)
    left_out = shutil.ignore_patterns("__pycache__", "__main__.py", "PulumiPolicy.yaml", "configs", "venv")
    shutil.copytree(PACK, target / "policies", ignore=left_out)
    shutil.copytree(PACK / "configs", target / "configs")
    shutil.copytree(ROOT / "docs" / "policies", target / "docs" / "policies")
    shutil.copy(PACK / "__main__.py", target)
    shutil.copy(ROOT / "LICENSE", target)
    shutil.copy(ROOT / "requirements" / "policy.txt", target / "requirements.txt")
    project = (PACK / "PulumiPolicy.yaml").read_text()
    (target / "PulumiPolicy.yaml").write_text(project.replace("virtualenv: ../.venv", "virtualenv: venv"))
    for package in BORROWED:
        shutil.copytree(ROOT / package, target / package, ignore=left_out)
    sums = [f"{_sha256(file)}  {file.relative_to(target).as_posix()}\n" for file in _files(target)]
    (target / CHECKSUMS).write_text("".join(sums))


def version() -> str:
    """Read the version of the pack."""
    return str(yaml.safe_load((PACK / "PulumiPolicy.yaml").read_text())["version"])


def archive(gathered: Path, folder: Path) -> Path:
    """Pack a gathered pack into `weir-policies-<version>.tar.gz`, with its checksum beside it.

    Args:
        gathered: The folder that `gather` wrote.
        folder: The folder of the archive; archives of other versions are removed from it.

    Returns:
        The archive.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("weir-policies-*.tar.gz*"):
        old.unlink()
    name = f"weir-policies-{version()}"
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for file in _files(gathered):
            member = tarfile.TarInfo(f"{name}/{file.relative_to(gathered).as_posix()}")
            member.size, member.mode = file.stat().st_size, 0o644
            tar.addfile(member, io.BytesIO(file.read_bytes()))
    target = folder / f"{name}.tar.gz"
    # No time of packing in it: the same pack gives the same archive.
    target.write_bytes(gzip.compress(packed.getvalue(), mtime=0))
    (folder / f"{target.name}.sha256").write_text(f"{_sha256(target)}  {target.name}\n")
    return target


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


if __name__ == "__main__":
    gather(ROOT / "dist" / "policies")
    print(archive(ROOT / "dist" / "policies", ROOT / "dist").relative_to(ROOT))
