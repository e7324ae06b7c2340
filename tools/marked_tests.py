"""Finds the tests that carry a marker, without running them, for the pages about tests."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Marked:
    """One marker on one test.

    Attributes:
        arguments: The marker's, which are literals.
        keywords: Its keyword arguments, literals too.
        test: The test's name.
        file: Its file, relative to the root.
    """

    arguments: tuple[str, ...]
    keywords: Mapping[str, Any]
    test: str
    file: str


def marked_with(name: str) -> Iterator[Marked]:
    """Yield each marker that its module calls `name`, also on a test's parameters, in the order of files and lines."""
    for file, function in _tests():
        for decorator in function.decorator_list:
            for call in ast.walk(decorator):
                match call:
                    case ast.Call(func=ast.Name(id=called), args=arguments, keywords=keywords) if called == name:
                        literals = tuple(ast.literal_eval(argument) for argument in arguments)
                        named = {each.arg or "": ast.literal_eval(each.value) for each in keywords}
                        yield Marked(literals, named, function.name, file)
                    case _:
                        pass


@cache
def _tests() -> tuple[tuple[str, ast.FunctionDef], ...]:
    return tuple(
        (str(path.relative_to(ROOT)), node)
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    )
