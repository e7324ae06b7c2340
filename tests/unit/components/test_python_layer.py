"""`PythonLayer`: packages of handlers, built for Lambda from a hashed lock."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components import FunctionSettings, PythonFunction, PythonLayer, Refused, Stream, StreamSource
from components.python_layer import build
from tests.reference import welcome_email
from tests.wheels import HERE, LAMBDA, lock, wheel

STREAM = "arn:aws:dynamodb:eu-central-1:123456789012:table/users/stream/2026-01-31T08:30:00.000"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def native(tmp_path: Path) -> Path:
    """A lock of a package with one wheel for Lambda and one for this machine."""
    wheels = [wheel(tmp_path, "native", f"TAG = {tag!r}", tag=tag) for tag in (LAMBDA, HERE)]
    return lock(tmp_path / "search.txt", *wheels)


def contents(archive: Path) -> dict[str, str]:
    with zipfile.ZipFile(archive) as packed:
        return {name: packed.read(name).decode() for name in packed.namelist()}


def test_packages_are_those_for_lambda_whatever_this_machine_is(native: Path) -> None:
    found = contents(build("search", native))
    assert found["python/native.py"] == f"TAG = {LAMBDA!r}"
    assert found["requirements.txt"] == native.read_text()


def test_the_same_lock_gives_the_same_bytes_and_nothing_of_this_machine(native: Path, cache: Path) -> None:
    first = build("search", native).read_bytes()
    for built in cache.rglob("*.zip"):
        built.unlink()
    archive = build("search", native)
    assert archive.read_bytes() == first
    assert set(contents(archive)) == {
        "python/native.py",
        "python/native-1.0.dist-info/METADATA",
        "python/native-1.0.dist-info/WHEEL",
        "requirements.txt",
    }


def test_a_lock_that_was_built_is_not_installed_again(native: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = build("search", native)
    monkeypatch.setattr("components.python_layer._install", None)
    assert build("suggestions", native) == built


def test_a_lock_that_is_missing_is_refused_with_the_command_that_writes_it(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"no lock .*missing\.txt: write one with uv pip compile --universal --generate-"):
        build("search", tmp_path / "missing.txt")


def test_a_lock_without_hashes_is_refused(tmp_path: Path) -> None:
    plain = lock(tmp_path / "plain.txt", wheel(tmp_path, "pure", ""), hashes=False)
    with pytest.raises(Refused, match=r"plain\.txt cannot be trusted: .*hash.*write it with uv pip compile"):
        build("search", plain)


def test_a_wheel_that_was_changed_is_refused(tmp_path: Path) -> None:
    made = lock(tmp_path / "lock.txt", wheel(tmp_path, "pure", ""))
    wheel(tmp_path, "pure", "import os")
    with pytest.raises(Refused, match=r"cannot be trusted: .*[Hh]ash"):
        build("search", made)


def test_a_package_without_a_wheel_for_lambda_is_refused(tmp_path: Path) -> None:
    made = lock(tmp_path / "lock.txt", wheel(tmp_path, "native", "", tag=HERE))
    with pytest.raises(Refused, match=r"cannot be installed for Lambda \(Python 3\.13, aarch64-manylinux_2_34\): "):
        build("search", made)


@pytest.mark.parametrize(
    ("limit", "what"), [("FUNCTION_PACKAGE_BYTES", "unzipped"), ("FUNCTION_UPLOAD_BYTES", "zipped")]
)
def test_a_layer_that_lambda_would_not_take_is_refused_before_it_is_uploaded(
    run: Callable[..., Any], native: Path, monkeypatch: pytest.MonkeyPatch, limit: str, what: str
) -> None:
    monkeypatch.setattr(f"components.python_layer.{limit}", 100)
    with pytest.raises(Refused, match=rf"search: the packages of .*search\.txt are 0\.0 MB {what}, and Lambda takes"):
        run(lambda: PythonLayer("search", requirements=str(native)))


def test_a_consumer_with_requirements_gets_a_layer_of_its_own(run: Callable[..., Any], native: Path) -> None:
    def program() -> None:
        changes = Stream("changes", source=StreamSource(arn=STREAM, table="users"))
        changes.subscribe(welcome_email.handler, requirements=str(native))

    done = run(program)
    layer = done.one("LayerVersion")
    assert layer.inputs["compatibleRuntimes"] == [done.one("Function").inputs["runtime"]]
    assert layer.inputs["compatibleArchitectures"] == done.one("Function").inputs["architectures"]
    assert done.one("Function").inputs["layers"] == [f"arn:aws:lambda:eu-central-1:123456789012:layer:{layer.name}:1"]


def test_functions_that_share_packages_share_a_layer(run: Callable[..., Any], native: Path) -> None:
    def program() -> None:
        packages = PythonLayer("search", requirements=str(native))
        settings = FunctionSettings(requirements=packages, layers=["arn:of:another"])
        for name in ("index", "suggestions"):
            PythonFunction(name, entry_point="handlers.welcome_email.handler", settings=settings)

    done = run(program)
    assert len(done.all("LayerVersion")) == 1
    layers = [each.inputs["layers"] for each in done.all("Function")]
    assert layers == [["arn:of:another", "arn:aws:lambda:eu-central-1:123456789012:layer:search:1"]] * 2


def test_a_layer_of_packages_counts_as_a_layer(native: Path) -> None:
    with pytest.raises(Refused, match="6 layers, and a function takes 5"):
        FunctionSettings(requirements=str(native), layers=["arn"] * 5).check("search")
