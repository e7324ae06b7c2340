"""Gathers the policy pack into `dist/policies`, which runs outside the clone. `make policy-pack` runs it."""

from __future__ import annotations

import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACK = ROOT / "policies"

#: The packages of this project that the pack imports.
BORROWED = ("aws_semantics",)


def gather(target: Path) -> None:
    """Write the pack into an empty folder.

    Args:
        target: The folder; what is in it is removed first.
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


if __name__ == "__main__":
    gather(ROOT / "dist" / "policies")
