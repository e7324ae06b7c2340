"""The cost of a consumer before it does anything: its imports, its memory and its package."""

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pulumi

from components.package import handler_package
from handlers import welcome_email

ROOT = Path(__file__).parents[2]
HEAVY = {
    "asyncio",
    "boto3",
    "botocore",
    "email",
    "http",
    "pydantic",
    "random",
    "ssl",
    "unittest",
    "urllib.request",
    "uuid",
}
SCRIPT = """
import json, logging, decimal, dataclasses, sys
sys.path.insert(0, sys.argv[1])
def resident(): return int(open("/proc/self/statm").read().split()[1]) * 4096
before, known = resident(), set(sys.modules)
import handlers.cdc
print(json.dumps([sorted(set(sys.modules) - known), resident() - before]))
"""


def test_importing_the_runtime_costs_little_and_loads_nothing_heavy() -> None:
    out = subprocess.run(
        [sys.executable, "-I", "-S", "-c", SCRIPT, str(ROOT)], capture_output=True, text=True, check=True, env={}
    ).stdout
    modules, memory = json.loads(out)
    assert not HEAVY & set(modules)
    assert memory < 5_000_000


def test_a_consumers_package_is_smaller_than_150_kb() -> None:
    assets: dict[str, Any] = handler_package(welcome_email.__name__).assets
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, asset in assets.items():
            assert isinstance(asset, pulumi.FileAsset)
            archive.write(str(asset.path), name)
    assert len(target.getvalue()) < 150_000
