"""Gathers the policy pack into `dist/policies`, which runs outside the clone. `make policy-pack` runs it."""

from __future__ import annotations

import ast
import shutil
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACK = ROOT / "policies"

#: What the pack imports of this project.
BORROWED = ("aws_limits", "handlers.cdc.patterns")


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
    for module in _with_imports(BORROWED):
        copy = target / module.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(module, copy)
    for package in ("handlers", "handlers/cdc"):
        # The packages' own modules are the runtime for Lambda, which the pack does not need.
        (target / package / "__init__.py").write_text("")


def _with_imports(names: tuple[str, ...]) -> set[Path]:
    """The files of modules, and of the modules of this project that they import."""
    found: set[Path] = set()
    waiting = [_file(name) for name in names]
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            waiting += [file for name in _imports(module) if (file := _file(name)).exists()]
    return found


def _file(module: str) -> Path:
    return ROOT / f"{module.replace('.', '/')}.py"


def _imports(module: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(module.read_text())):
        match node:
            case ast.Import(names=names):
                yield from (name.name for name in names)
            case ast.ImportFrom(module=str(name), names=names):
                yield name
                yield from (f"{name}.{each.name}" for each in names)
            case _:
                pass


if __name__ == "__main__":
    gather(ROOT / "dist" / "policies")
