"""`PythonLayer`: the third-party packages of handlers, as a Lambda layer that is built from a hashed lock."""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pulumi
import pulumi_aws as aws

from aws_semantics.limits import FUNCTION_PACKAGE_BYTES, FUNCTION_UPLOAD_BYTES
from components.python_runtime import ARCHITECTURE, PYTHON_VERSION
from components.refusal import Refused

#: The platform of Lambda's Python runtimes: Amazon Linux 2023, whose glibc is 2.34.
_PLATFORM = "aarch64-manylinux_2_34"

#: Files of an installation that name the installer or the machine. Lambda needs none of them, and without them the same
#: lock gives the same archive everywhere.
_LEFT_OUT = re.compile(
    r"(^|/)(__pycache__|bin|\.lock)(/|$)|\.dist-info/(INSTALLER|RECORD|REQUESTED|direct_url\.json|uv_cache\.json)$"
)

_BUILD_TIMEOUT_SECONDS = 600

_PROJECT = Path(__file__).resolve().parents[1]


class PythonLayer(pulumi.ComponentResource):
    """The packages of a hashed lock, installed for Lambda's platform, whatever this machine is.

    The layer is built when the program runs and kept in a cache by the lock's hash. Only wheels are taken: nothing is
    compiled, so that what is built here runs there. `weir local up` installs the same lock for this machine instead.

    Args:
        requirements: Path of the lock, from the project's root. Every line has hashes
            (`uv pip compile --universal --generate-hashes search.in -o search.txt`).

    Attributes:
        layer: The `aws.lambda_.LayerVersion`.
        arn: ARN of the layer's version.
        size_in_bytes: Size of the archive.
        unzipped_bytes: Size of its files, which count against the function's limit of 250 MB.

    Raises:
        Refused: The lock is missing or lacks hashes, a package has no wheel for Lambda's platform, or the layer is
            larger than Lambda takes.

    Example:
        templates = PythonLayer("templates", requirements="requirements/templates.txt")
        changes.subscribe(welcome_email.handler, requirements=templates, access=[ledger.access(), mail.send_access()])
    """

    def __init__(self, name: str, *, requirements: str, opts: pulumi.ResourceOptions | None = None) -> None:
        archive = build(name, _PROJECT / requirements)
        self.size_in_bytes = archive.stat().st_size
        with zipfile.ZipFile(archive) as packed:
            self.unzipped_bytes = sum(entry.file_size for entry in packed.infolist())
        _check_size(name, requirements, self.size_in_bytes, self.unzipped_bytes)
        super().__init__("weir:index:PythonLayer", name, {}, opts)
        self.layer = aws.lambda_.LayerVersion(
            name,
            layer_name=f"{pulumi.get_project()}-{pulumi.get_stack()}-{name}",
            code=pulumi.FileArchive(str(archive)),
            description=f"{requirements}: {_megabytes(self.unzipped_bytes)} unzipped",
            compatible_runtimes=[f"python{PYTHON_VERSION}"],
            compatible_architectures=[ARCHITECTURE],
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.arn = self.layer.arn
        self.register_outputs({"layerArn": self.arn, "sizeInBytes": self.size_in_bytes})


def build(name: str, lock: Path) -> Path:
    """Build the archive of a lock, or find it in the cache.

    Args:
        name: The layer's name, for messages.
        lock: The hashed lock.

    Returns:
        A zip file with the packages under `python/`, and the lock beside them as `requirements.txt`.

    Raises:
        Refused: The lock is missing or lacks hashes, or a package has no wheel for Lambda's platform.
    """
    if not lock.is_file():
        raise Refused(f"{name}: there is no lock {lock}: write one with {_how_to_lock(lock)}")
    content = lock.read_bytes()
    key = hashlib.sha256(b"\0".join([content, _PLATFORM.encode(), PYTHON_VERSION.encode()])).hexdigest()
    archive = _cache() / f"{key}.zip"
    if not archive.exists():
        archive.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as directory:
            _install(name, lock, Path(directory))
            packed = _zipped(Path(directory), content)
        # Another deployment may build the same one: whoever is last replaces a whole file by an equal one.
        with tempfile.NamedTemporaryFile(dir=archive.parent, delete=False) as partial:
            partial.write(packed)
        Path(partial.name).replace(archive)
    return archive


def _install(name: str, lock: Path, target: Path) -> None:
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if uv is None:
        raise Refused(f"{name}: requirements are installed by uv, which is missing: pip install -r requirements.txt")
    command = [uv, "pip", "install", "--quiet", "--no-progress", "--target", str(target), "--requirements", str(lock)]
    command += ["--require-hashes", "--only-binary", ":all:", "--no-deps", "--link-mode", "copy"]
    command += ["--python-platform", _PLATFORM, "--python-version", PYTHON_VERSION]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_BUILD_TIMEOUT_SECONDS, check=False)  # noqa: S603 - uv, with the project's own lock
    if done.returncode == 0:
        return
    said = " ".join(done.stderr.split())
    if "hash" in said.lower():
        raise Refused(f"{name}: {lock} cannot be trusted: {said}; write it with {_how_to_lock(lock)}")
    raise Refused(
        f"{name}: the packages of {lock} cannot be installed for Lambda (Python {PYTHON_VERSION}, {_PLATFORM}): {said}"
    )


def _zipped(directory: Path, lock: bytes) -> bytes:
    """Zip an installation so that the same files give the same bytes."""
    files = {
        f"python/{name}": path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and not _LEFT_OUT.search(name := path.relative_to(directory).as_posix())
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in sorted({**files, "requirements.txt": lock}.items()):
            entry = zipfile.ZipInfo(name)
            entry.external_attr = 0o755 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            packed.writestr(entry, content)
    return buffer.getvalue()


def _check_size(name: str, requirements: str, zipped: int, unzipped: int) -> None:
    for what, size, limit in (
        ("unzipped", unzipped, FUNCTION_PACKAGE_BYTES),
        ("zipped", zipped, FUNCTION_UPLOAD_BYTES),
    ):
        if size > limit:
            raise Refused(
                f"{name}: the packages of {requirements} are {_megabytes(size)} {what}, and Lambda takes "
                f"{_megabytes(limit)}: take packages away, or split them between consumers"
            )


def _megabytes(size: int) -> str:
    return f"{size / 2**20:.1f} MB"


def _how_to_lock(lock: Path) -> str:
    return f"uv pip compile --universal --generate-hashes {lock.with_suffix('.in').name} -o {lock.name}"


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "weir" / "layers"
