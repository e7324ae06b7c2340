"""Reads `Pulumi.yaml` and `Pulumi.<stack>.yaml` as the CLI does, so that a program gets its configuration without it.

Every value that is missing or wrong is found in one go, one line each.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


class StackFilesInvalid(ValueError):
    """Missing or wrong files of a stack. One line per problem: file, key, what is wrong, what to do."""


@dataclass(frozen=True)
class StackFiles:
    """Project, stack and configuration, as the CLI's language host passes them to a program.

    Attributes:
        project: Name of the project.
        stack: Name of the stack.
        config: Full keys (`weir:mailFrom`) and their values as text; lists and objects are JSON.
    """

    project: str
    stack: str
    config: Mapping[str, str]


def read_stack_files(directory: Path, stack: str, overrides: Mapping[str, str] | None = None) -> StackFiles:
    """Read the project's name, and the stack's configuration with the defaults of `Pulumi.yaml`.

    Args:
        directory: The directory of `Pulumi.yaml`.
        stack: Name of the stack.
        overrides: Values by full key that override the stack file's.

    Raises:
        StackFilesInvalid: A file is missing or is not YAML, a value is missing, of another type than declared, under
            a key without a namespace or an undeclared key of the project, or a secret, which only the CLI can
            decrypt.
    """
    project_file, stack_file = directory / "Pulumi.yaml", directory / f"Pulumi.{stack}.yaml"
    project = _mapping(project_file)
    if not stack_file.exists():
        stacks = ", ".join(sorted(path.name.split(".")[1] for path in directory.glob("Pulumi.*.yaml")))
        raise StackFilesInvalid(
            f"{stack_file.name} does not exist, so there is no stack {stack!r}: the stacks are {stacks}"
        )
    name = project.get("name")
    if not isinstance(name, str):
        raise StackFilesInvalid(f"{project_file.name}: name is missing: give the project a name")
    declared = project.get("config") or {}
    given = {**(_mapping(stack_file).get("config") or {}), **(overrides or {})}
    problems = [
        *_stack_problems(stack_file.name, given),
        *_unknown_problems(name, stack_file.name, declared, given),
        *_declared_problems(name, stack_file.name, declared, given),
    ]
    if problems:
        raise StackFilesInvalid("\n".join(problems))
    defaults = {_full(name, key): _default(entry) for key, entry in declared.items() if _default(entry) is not None}
    return StackFiles(name, stack, {key: _text(value) for key, value in {**defaults, **given}.items()})


def read_value(directory: Path, stack: str, key: str) -> tuple[str, Any]:
    """Read one value of a stack, whatever is wrong with the others, e.g. where another one is a secret.

    Args:
        directory: The directory of `Pulumi.yaml`.
        stack: Name of the stack.
        key: The key without its namespace, which is the project's name.

    Returns:
        The project's name, and the value of the stack's file or the default; `None` if there is neither.

    Raises:
        StackFilesInvalid: A file is missing or is not YAML.
    """
    project, given = _mapping(directory / "Pulumi.yaml"), _mapping(directory / f"Pulumi.{stack}.yaml")
    name = str(project.get("name"))
    default = _default((project.get("config") or {}).get(key))
    return name, (given.get("config") or {}).get(f"{name}:{key}", default)


def _mapping(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text())
    except FileNotFoundError:
        raise StackFilesInvalid(f"{file} does not exist: name the directory of a Pulumi program") from None
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f":{where.line + 1}" if where else ""
        said = " ".join(str(getattr(error, "problem", None) or error).split())
        raise StackFilesInvalid(f"{file.name}{line} is not YAML: {said}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise StackFilesInvalid(f"{file.name} is a {type(content).__name__}: it should hold keys and values")
    return content


def _full(project: str, key: str) -> str:
    return key if ":" in key else f"{project}:{key}"


def _default(entry: Any) -> Any:
    return entry.get("default", entry.get("value")) if isinstance(entry, dict) else entry


def _stack_problems(file: str, given: Mapping[str, Any]) -> Iterator[str]:
    for key, value in given.items():
        if ":" not in str(key):
            yield f"{file}: {key} has no namespace: write <project>:{key}"
        if _has_secret(value):
            yield (
                f"{file}: {key} is a secret, and only the CLI can decrypt it: "
                "give the stack that is deployed on this machine a plain value"
            )


def _unknown_problems(project: str, file: str, declared: Mapping[str, Any], given: Mapping[str, Any]) -> Iterator[str]:
    """Report undeclared keys. The CLI ignores a misspelt key and uses the default."""
    known = {_full(project, key) for key in declared}
    for key in given:
        if str(key).startswith(f"{project}:") and key not in known:
            meant = difflib.get_close_matches(str(key), known, n=1)
            hint = f": did you mean {meant[0]}?" if meant else ": declare it there, or take it away"
            yield f"{file}: {key} is not declared in Pulumi.yaml, so it would be ignored{hint}"


def _has_secret(value: Any) -> bool:
    if isinstance(value, dict):
        return set(value) == {"secure"} or any(map(_has_secret, value.values()))
    return isinstance(value, list) and any(map(_has_secret, value))


def _declared_problems(project: str, file: str, declared: Mapping[str, Any], given: Mapping[str, Any]) -> Iterator[str]:
    for key, entry in declared.items():
        full = _full(project, key)
        if full not in given:
            if _default(entry) is None and full.startswith(f"{project}:"):
                yield f"{file}: {full} is missing: run  pulumi config set {key} …"
            continue
        declaration = entry if isinstance(entry, dict) else {}
        value = given[full]
        if declaration.get("secret") and not _has_secret(value):
            yield f"{file}: {full} is plain text, and Pulumi.yaml declares it as a secret"
        wanted = declaration.get("type")
        if wanted is not None and not _has_secret(value) and not _is(wanted, declaration.get("items"), value):
            yield f"{file}: {full} is {value!r}, and Pulumi.yaml declares it as {wanted}"


def _is(wanted: str, items: Mapping[str, Any] | None, value: Any) -> bool:
    """Check a value's declared type. The CLI compares scalars as text: an unquoted 5 is a string too."""
    if isinstance(value, list):
        return wanted == "array" and all(
            _is(items["type"], items.get("items"), member) for member in value if items is not None
        )
    if isinstance(value, dict):
        return wanted == "object"
    text = _text(value)
    match wanted:
        case "string":
            return True
        case "integer":
            return text.removeprefix("-").isdecimal()
        case "boolean":
            return text in ("true", "false")
        case _:
            return False


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, int | float):
        return str(value)
    return json.dumps(value, separators=(",", ":"))
