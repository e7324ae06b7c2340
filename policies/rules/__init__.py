"""One rule per file. A file in this folder that defines `RULE` is a rule of the pack; nothing else names it."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from policies.rule import AnyRule


def all_rules() -> list[AnyRule]:
    """Load every rule, by the name of its file."""
    return [import_module(f"{__name__}.{module.name}").RULE for module in iter_modules(__path__)]
