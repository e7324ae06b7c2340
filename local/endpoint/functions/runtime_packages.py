"""The packages that Lambda's Python runtime ships, set apart from all others on this machine.

A function sees these, its own files and its layers. A package that only this machine has must be missing, as on AWS.
https://docs.aws.amazon.com/lambda/latest/dg/lambda-python.html: the runtime includes boto3 and what it depends on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

#: The distribution that the runtime ships; its dependencies come with it.
SHIPPED = "boto3"


def link_runtime_packages(directory: Path) -> None:
    """Fill an empty directory with links to the modules of boto3 and its dependencies.

    Args:
        directory: Goes on a function's import path.
    """
    for shipped in _with_dependencies(SHIPPED):
        for name in {file.parts[0] for file in shipped.files or () if file.parts[0] not in ("..", "__pycache__")}:
            (directory / name).symlink_to(Path(str(shipped.locate_file(name))).resolve())


def _with_dependencies(name: str) -> Iterator[Distribution]:
    found: dict[str, Distribution] = {}
    waiting = [name]
    while waiting:
        each = waiting.pop()
        if each not in found:
            found[each] = distribution(each)
            needed = (line for line in found[each].requires or () if "extra ==" not in line)
            waiting += [re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in needed]
    yield from found.values()
