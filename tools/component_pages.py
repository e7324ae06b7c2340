"""Writes docs/components: a page for each component, from its docstring, its hints and its example under mocks.

`python -m tools.component_pages` writes the pages; `make docs` does the same.
"""

from __future__ import annotations

import inspect
import json
import logging
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import griffe

import components
from local.deploy.program import Registration
from ops.mocked_program import run_mocked
from tests.unit.aws_checks.programs import run_of
from tests.unit.components.examples import COMPONENTS, example_of, surroundings
from tools import list_prices, service_limits, written_files

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "components"


@cache
def _sources() -> Any:
    return griffe.load("components", search_paths=[str(ROOT)], docstring_parser="google")


def _class(name: str) -> Any:
    module = getattr(components, name).__module__.removeprefix("components.")
    return _sources()[module][name]


def page(name: str) -> str:
    """Write the page of a component."""
    found = _class(name)
    sections = {each.kind.value: each.value for each in found.docstring.parsed}
    made = _made_by(name)
    parts = [
        f"# {name}",
        _one_line(sections.get("text", "")),
        "```\n" + example_of(name).strip() + "\n```",
        "## Arguments",
        _table(
            ("argument", "type", "default", "meaning"), _arguments(found.members["__init__"], sections, found.docstring)
        ),
    ]
    if attributes := sections.get("attributes"):
        parts += ["## Attributes", _list((each.name, each.description) for each in attributes)]
    for method, function in found.members.items():
        if function.is_function and not method.startswith("_") and function.docstring:
            own = {each.kind.value: each.value for each in function.docstring.parsed}
            parts += [
                f"## `{method}`",
                _one_line(own.get("text", "")),
                _table(("argument", "type", "default", "meaning"), _arguments(function, own, function.docstring)),
            ]
            parts += _raises(own)
    parts += _raises(sections)
    parts += [
        "## The example creates",
        _list((f"{number} x `{token}`", "") for token, number in sorted(Counter(each.type for each in made).items())),
    ]
    if statements := list(_statements(made)):
        parts += ["## Permissions", _table(("role or policy of", "effect", "actions", "resources"), statements)]
    if alarms := list(_alarms(made)):
        parts += ["## Alarms", _table(("alarm", "metric", "at", "periods", "meaning"), alarms)]
    parts += ["## Limits", _limits(made), "## Cost", _cost(Counter(each.type for each in made))]
    return "\n\n".join(part for part in parts if part) + "\n"


def pages() -> Mapping[Path, str]:
    """Return the content of each page, and of their list."""
    wanted = {FOLDER / f"{_slug(name)}.md": page(name) for name in COMPONENTS}
    listed = [
        f"- [{name}]({_slug(name)}.md): {_first_sentence(inspect.getdoc(getattr(components, name)) or '')}"
        for name in COMPONENTS
    ]
    wanted[FOLDER / "README.md"] = "# Components\n\nWritten by `make docs`.\n\n" + "\n".join(listed) + "\n"
    return wanted


def _arguments(function: Any, sections: Mapping[str, Any], docstring: Any) -> Iterator[tuple[str, ...]]:
    del docstring
    described = {each.name: each.description for each in sections.get("parameters", [])}
    for parameter in function.parameters:
        if parameter.name == "self":
            continue
        default = "" if parameter.default is None else f"`{parameter.default}`"
        meaning = described.get(parameter.name) or _COMMON.get(parameter.name, "")
        yield f"`{parameter.name}`", f"`{parameter.annotation}`", default or "needed", _one_line(meaning)


#: Arguments that every component has, and that its docstring does not repeat.
_COMMON = {
    "name": "Name in the program; names on AWS begin with it.",
    "opts": "Pulumi's options: parent, aliases, protect, transforms, provider.",
}


def _raises(sections: Mapping[str, Any]) -> list[str]:
    found = [(f"`{each.annotation}`", each.description) for each in sections.get("raises", [])]
    return ["### Refuses", _list(found)] if found else []


@cache
def _taken_as_given() -> frozenset[str]:
    return frozenset(each.urn for each in run_mocked(surroundings).registrations)


def _made_by(name: str) -> list[Registration]:
    made = run_of(f"example of {name}").registrations
    return [each for each in made if each.custom and each.urn not in _taken_as_given()]


def _statements(made: list[Registration]) -> Iterator[tuple[str, ...]]:
    for each in sorted(made, key=lambda each: (each.name, each.type)):
        policy = each.inputs.get("policy")
        if not isinstance(policy, str):
            continue
        for statement in json.loads(policy)["Statement"]:
            actions, resources = statement["Action"], statement.get("Resource", "")
            yield (
                each.name,
                statement["Effect"],
                "<br>".join(f"`{action}`" for action in ([actions] if isinstance(actions, str) else actions)),
                "<br>".join(f"`{_plain(arn)}`" for arn in ([resources] if isinstance(resources, str) else resources)),
            )


def _alarms(made: list[Registration]) -> Iterator[tuple[str, ...]]:
    for each in sorted(made, key=lambda each: each.name):
        if each.type.endswith(":MetricAlarm"):
            inputs = each.inputs
            meaning = str(inputs.get("alarmDescription", "")).partition(" First: ")[0].partition(": ")[2]
            periods = f"{inputs.get('evaluationPeriods', 1)} x {inputs.get('period', 60)} s"
            yield each.name, str(inputs.get("metricName", "")), f"≥ {inputs.get('threshold', '')}", periods, meaning


def _limits(made: list[Registration]) -> str:
    rows = [
        (kind, each.of, each.value, f"[AWS]({each.source})" if each.source.startswith("https:") else each.source)
        for kind, each in service_limits.limits_of(made)
    ]
    if not rows:
        return "[aws-semantics.md](../aws-semantics.md) has none for these resources."
    told = "AWS's, for what the example creates; a source is a row of [aws-semantics.md](../aws-semantics.md)."
    return f"{told}\n\n{_table(('resource', 'of', 'limit', 'source'), rows)}"


def _cost(resources: Counter[str]) -> str:
    prices = dict.fromkeys(price for token in sorted(resources) if (price := list_prices.idle_price(token)))
    sources = ", ".join(f"<{each}>" for each in dict.fromkeys(price.source for price in prices))
    listed = f"list prices of {list_prices.REGION} as of {list_prices.AS_OF}; check them"
    if sources:
        listed += f": {sources}"
    return (
        f"The example's resources cost ${list_prices.idle_per_month(resources):.2f} a month while nothing happens "
        f"({listed}). What a change costs: [which way?](../guides/which-way.md)"
    )


def _plain(arn: str) -> str:
    """Leave the digits out that Pulumi adds to names."""
    return re.sub(r"-[0-9a-f]{7}(?=$|[/:*.])", "", arn)


def _table(head: tuple[str, ...], rows: Any) -> str:
    lines = [" | ".join(head), " | ".join("---" for _ in head)]
    lines += [" | ".join(cell.replace("|", "\\|") for cell in row) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def _list(items: Any) -> str:
    return "\n".join(f"- {name}{': ' + _one_line(text) if text else ''}" for name, text in items)


def _one_line(text: str) -> str:
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def _first_sentence(text: str) -> str:
    return " ".join(text.split("\n\n")[0].split())


def _slug(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


if __name__ == "__main__":
    logging.disable()
    written_files.write(pages(), FOLDER.glob("*.md"))
