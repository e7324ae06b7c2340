"""A program of policy rules' bad examples, which lie in `examples.json`. It is run as a project's `__main__.py`."""

import json
import re
from pathlib import Path
from typing import Any

import pulumi
import yaml

REFERENCE = re.compile(r"\$\{([^.}]+)\.([^}]+)\}")


class Raw(pulumi.CustomResource):
    """A resource by its type token, with every output that another one asks for."""

    def __init__(self, token: str, name: str, inputs: dict[str, Any], outputs: set[str]) -> None:
        super().__init__(token, name, {**dict.fromkeys(outputs - {"id"}), **inputs})


def resolved(value: Any, made: dict[str, Raw]) -> Any:
    """Put outputs in the place of references."""
    match value:
        case {"fn::toJSON": document}:
            return pulumi.Output.json_dumps(resolved(document, made))
        case dict():
            return {key: resolved(member, made) for key, member in value.items()}
        case list():
            return [resolved(member, made) for member in value]
        case str() if found := REFERENCE.search(value):
            before, after = value[: found.start()], value[found.end() :]
            output = getattr(made[found[1]], found[2])
            return pulumi.Output.concat(before, output, resolved(after, made)) if before or after else output
        case _:
            return value


def make(rule: str, text: str) -> None:
    """Register the resources of one example."""
    waiting: dict[str, Any] = yaml.safe_load(text)
    references = {name: set(REFERENCE.findall(json.dumps(resource))) for name, resource in waiting.items()}
    made: dict[str, Raw] = {}
    while waiting:
        name = next(name for name in waiting if {of for of, _ in references[name]} <= made.keys())
        resource = waiting.pop(name)
        package, module, kind = resource["type"].split(":")
        outputs = {output for found in references.values() for of, output in found if of == name}
        made[name] = Raw(
            f"{package}:{module}/{kind[0].lower()}{kind[1:]}:{kind}",
            f"{rule}-{name}",
            resolved(resource.get("properties", {}), made),
            outputs,
        )


for rule, text in json.loads(Path("examples.json").read_text(encoding="utf-8")).items():
    make(rule, text)
