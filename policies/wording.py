"""The spelling of settings in messages: by the names that the state has, followed by Python's."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any


def setting(name: str, value: object) -> str:
    """Write a property and its value, for Pulumi YAML and for Python.

    Example:
        >>> setting("bisectBatchOnFunctionError", True)
        'bisectBatchOnFunctionError: true (Python: bisect_batch_on_function_error=True)'
        >>> setting("metricsConfig", {"metrics": ["EventCount"]})
        'metricsConfig: {"metrics": ["EventCount"]} (Python: metrics_config={"metrics": ["EventCount"]})'
    """
    return f"{name}: {json.dumps(value, ensure_ascii=False)} (Python: {snake(name)}={_python(value)})"


def named(name: str) -> str:
    """Write a property's name, for Pulumi YAML and for Python.

    Example:
        >>> named("deadLetterConfig")
        'deadLetterConfig (Python: dead_letter_config)'
    """
    return f"{name} (Python: {snake(name)})"


def snake(name: str) -> str:
    """Spell a property's name as Python does."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


def _python(value: Any) -> str:
    match value:
        case str():
            return json.dumps(value, ensure_ascii=False)
        case Mapping():
            return "{" + ", ".join(f'"{snake(str(key))}": {_python(member)}' for key, member in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_python, value)) + "]"
        case _:
            return repr(value)
