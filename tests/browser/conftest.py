"""Tests that need a browser. They run only when this folder is named, as `make test-browser` does."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave this folder out of a run of all tests."""
    return None if any("browser" in argument for argument in config.args) else True
