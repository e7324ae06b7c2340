"""Layers of packages on this machine: the lock decides, not the wheels that were built for Lambda."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pulumi
import pytest

from local.deploy.archives import zipped
from local.deploy.layers import CannotInstall, for_this_machine
from tests.wheels import HERE, LAMBDA, lock, wheel


def archive_of(files: dict[str, str]) -> pulumi.AssetArchive:
    return pulumi.AssetArchive({name: pulumi.StringAsset(text) for name, text in files.items()})


def test_the_lock_is_installed_for_this_machine(tmp_path: Path) -> None:
    wheels = [wheel(tmp_path, "native", f"TAG = {tag!r}", tag=tag) for tag in (LAMBDA, HERE)]
    locked = lock(tmp_path / "lock.txt", *wheels).read_text()
    layer = for_this_machine(archive_of({"requirements.txt": locked, "python/native.py": f"TAG = {LAMBDA!r}"}))
    with zipfile.ZipFile(io.BytesIO(layer)) as archive:
        assert archive.read("python/native.py").decode() == f"TAG = {HERE!r}"


def test_a_layer_without_a_lock_stays_as_it_is() -> None:
    layer = archive_of({"python/pricing.py": "FEE = 7"})
    assert for_this_machine(layer) == zipped(layer)


def test_a_package_without_a_wheel_for_this_machine_is_told(tmp_path: Path) -> None:
    locked = lock(tmp_path / "lock.txt", wheel(tmp_path, "native", "", tag=LAMBDA)).read_text()
    with pytest.raises(CannotInstall, match="packages cannot be installed for this machine, so no function here can"):
        for_this_machine(archive_of({"requirements.txt": locked}))
