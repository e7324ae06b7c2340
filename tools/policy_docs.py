"""Writes the files that follow from the rules: a page per rule, the index, and the presets.

`python -m tools.policy_docs` writes them; `make docs` does the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent, fill

from policies.rule import DOCS, AnyRule, StackRule
from policies.rules import all_rules
from tools import written_files

ROOT = Path(__file__).resolve().parent.parent
INDEX_START, INDEX_END = "<!-- rules: written by tools/policy_docs.py -->", "<!-- end of rules -->"


#: The page that is written by hand, beside the index.
ADOPTING = ROOT / DOCS / "adopting.md"


def files() -> Mapping[Path, str]:
    """Return the wanted content of each file."""
    rules = all_rules()
    index = ROOT / DOCS / "README.md"
    return {
        **{ROOT / rule.docs: page(rule) for rule in rules},
        index: _with_index(index.read_text(), rules),
        **{ROOT / "policies" / "configs" / f"{name}.json": preset for name, preset in presets(rules).items()},
    }


def presets(rules: list[AnyRule]) -> Mapping[str, str]:
    """Configurations for `--policy-pack-config`, by name."""
    levels = {
        "default": {rule.id: rule.level for rule in rules},
        "strict": {rule.id: "mandatory" for rule in rules},
        "adopting": {rule.id: "advisory" for rule in rules},
    }
    return {name: json.dumps(chosen, indent=2, sort_keys=True) + "\n" for name, chosen in levels.items()}


def page(rule: AnyRule) -> str:
    """The page of a rule."""
    asked = (
        "about the whole stack, at the end of the preview and after `up`"
        if isinstance(rule, StackRule)
        else "about each resource, before it is created"
    )
    looks_at = ", ".join(f"`{type_}`" for type_ in rule.resources)
    facts = {"level": rule.level, "severity": rule.severity, "asked": asked, "looks at": looks_at}
    parts = [
        f"# {rule.id}",
        f"{rule.title}.",
        "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in facts.items())]),
        "## Why",
        _wrapped(rule.why),
        "## What to do",
        _wrapped(rule.remediation),
    ]
    if rule.limits:
        parts += ["## What it does not see", _wrapped(rule.limits)]
    parts += ["## Configuration", _configuration(rule)]
    for title, examples in (("Violations", rule.bad), ("Compliant", rule.good)):
        parts += [f"## {title}", *(f"```yaml\nresources:\n{_indented(example)}\n```" for example in examples)]
    file = f"policies/rules/{rule.id.replace('-', '_')}.py"
    parts.append(f"The examples are Pulumi YAML, and tests of the rule, `{file}`. [All rules](README.md).")
    return "\n\n".join(parts) + "\n"


def _configuration(rule: AnyRule) -> str:
    rows = [
        f"| `{name}` | {parameter.description} | `{json.dumps(parameter.default)}` |"
        for name, parameter in rule.parameters.items()
    ]
    table = "\n".join(
        [
            "| setting | what | default |",
            "|---|---|---|",
            f"| `enforcementLevel` | `mandatory`, `advisory` or `disabled`. | `{rule.level}` |",
            *rows,
            "| `exemptions` | Resources to leave alone, each with a reason ([how](README.md#exemptions)). | `[]` |",
        ]
    )
    parameters = {name: parameter.default for name, parameter in rule.parameters.items()}
    example = json.dumps({rule.id: {"enforcementLevel": rule.level, **parameters}}, indent=2)
    return f"{table}\n\n```json\n{example}\n```"


def _wrapped(text: str) -> str:
    return fill(text, 120, break_long_words=False, break_on_hyphens=False)


def _indented(example: str) -> str:
    return "\n".join(f"  {line}".rstrip() for line in dedent(example).strip().splitlines())


def _with_index(text: str, rules: list[AnyRule]) -> str:
    before, _, rest = text.partition(INDEX_START)
    _, _, after = rest.partition(INDEX_END)
    rows = [
        f"| [{rule.id}]({rule.id}.md) | {rule.level} | {'stack' if isinstance(rule, StackRule) else 'resource'} "
        f"| {rule.title} |"
        for rule in rules
    ]
    table = "\n".join(["| rule | level | asked about | what it demands |", "|---|---|---|---|", *rows])
    return f"{before}{INDEX_START}\n{table}\n{INDEX_END}{after}"


def stale() -> list[Path]:
    """Files that do not say what the rules say, and pages of rules that are gone."""
    return written_files.stale(files(), _generated())


def _generated() -> list[Path]:
    return [path for path in (ROOT / DOCS).glob("*.md") if path != ADOPTING]


if __name__ == "__main__":
    written_files.write(files(), _generated())
