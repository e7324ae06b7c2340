"""Starts the language host: `python -m local.pulumi_host <address of the engine>`, as the engine does."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from pathlib import Path


def without_the_sdk() -> None:
    """Let the engine's protocol be imported without the SDK around it, which takes longer than all else here."""
    found = importlib.util.find_spec("pulumi")
    if found is None or found.origin is None:
        return
    root = Path(found.origin).parent
    for name, folder in (("pulumi", root), ("pulumi.runtime", root / "runtime")):
        package = types.ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules[name] = package


without_the_sdk()
importlib.import_module("local.pulumi_host.serving").main()
