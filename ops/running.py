"""The file in which `weir local up` says where it runs, and names of a stack's outputs."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

FILE = "running.json"

#: Output with the mapping of the first fan-out's forwarder, and the name by which commands know it.
FORWARDER = "forwarder"
#: Output with the mapping of each fan-out's forwarder, by its name among the alarms.
FORWARDERS = "forwarders"
#: Output with the alarms of what is neither a consumer nor a pipe, e.g. of workflows, by name.
OTHER_ALARMS = "otherAlarms"
#: Output with the alarms of each forwarder and its topic, by the forwarder's name among the alarms.
FORWARDER_ALARMS = "forwarderAlarms"


def forwarders_of(outputs: Mapping[str, Any]) -> dict[str, str]:
    """Return the mapping of each forwarder of a stack, by the name that commands know it by.

    >>> forwarders_of({"forwarder": "1", "forwarders": {"changes-forwarder": "1", "orders-forwarder": "2"}})
    {'forwarder': '1', 'orders-forwarder': '2'}
    """
    first = outputs.get(FORWARDER)
    others = {name: uuid for name, uuid in outputs.get(FORWARDERS, {}).items() if uuid != first}
    return {**({} if first is None else {FORWARDER: first}), **others}


def forwarder_alarms_of(outputs: Mapping[str, Any], name: str) -> Mapping[str, str]:
    """Return the alarms of a forwarder and its topic, by their short names; none in the outputs of an older program.

    Args:
        outputs: The stack's outputs.
        name: The forwarder, by the name that commands know it by.

    >>> outputs = {"forwarder": "1", "forwarders": {"changes-forwarder": "1"}}
    >>> forwarder_alarms_of({**outputs, "forwarderAlarms": {"changes-forwarder": {"dropped": "d-4f"}}}, "forwarder")
    {'dropped': 'd-4f'}
    """
    uuid = forwarders_of(outputs)[name]
    names = (each for each, other in outputs.get(FORWARDERS, {}).items() if other == uuid)
    return outputs.get(FORWARDER_ALARMS, {}).get(next(names, name), {})


def state_directory(program: Path, stack: str) -> Path:
    """Return the folder of a stack's files, below the user's state directory.

    https://specifications.freedesktop.org/basedir-spec/latest/
    """
    configured = Path(os.environ.get("XDG_STATE_HOME", ""))
    base = configured if configured.is_absolute() else Path.home() / ".local" / "state"
    return base / "weir" / hashlib.sha256(os.fsencode(program)).hexdigest()[:16] / stack


@contextlib.contextmanager
def announced(
    directory: Path,
    environment: Mapping[str, str],
    outputs: Mapping[str, Any],
    engine: Mapping[str, str] | None = None,
) -> Generator[Callable[[], None]]:
    """Keep the file while a block runs, readable by its owner alone, since it holds the endpoint's keys.

    Args:
        directory: The folder of the stack's files.
        environment: Variables that point an AWS client at the endpoint.
        outputs: The stack's outputs.
        engine: Variables of the Pulumi CLI, if the stack was deployed by it.

    Yields:
        Writes the file again, with the outputs as they are then.
    """
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / FILE

    def write() -> None:
        # A command that reads the file meanwhile finds the old one or the new one.
        new = file.with_suffix(".new")
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as opened:
            running = {"pid": os.getpid(), "environment": dict(environment), "outputs": dict(outputs)}
            json.dump({**running, "engine": None if engine is None else dict(engine)}, opened)
        new.replace(file)

    write()
    try:
        yield write
    finally:
        file.unlink(missing_ok=True)


def running(directory: Path) -> dict[str, Any] | None:
    """Read the file of the process that runs; `None` if there is none."""
    try:
        found = json.loads((directory / FILE).read_text(encoding="utf-8"))
        os.kill(found["pid"], 0)
    except (FileNotFoundError, ProcessLookupError):
        return None
    return found
