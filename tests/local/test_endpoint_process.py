"""The endpoint as a process: how it starts, ends, and what it leaves behind."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from local.endpoint import Endpoint, EndpointError

#: Starts an endpoint, says where it is and what belongs to it, and waits for the end.
PARENT = """
import sys, time
from local.endpoint import Endpoint

with Endpoint() as aws:
    print(aws.url, aws._process.pid, aws._directory, flush=True)
    {then}
"""


def left_behind(pid: int, directory: str | Path) -> list[str]:
    """What is still there of an endpoint: its process, its session's processes, its directory."""
    left = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if (int(entry.parent.name) == pid or int(fields[3]) == pid) and fields[0] != "Z":
            left.append(f"process {entry.parent.name}")
    return left + ([str(directory)] if Path(directory).exists() else [])


def start_parent(then: str) -> tuple[subprocess.Popen[str], int, str]:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(then=then)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    _, pid, directory = parent.stdout.readline().split()
    return parent, int(pid), directory


def test_stop_ends_the_process_its_functions_and_its_directory(world):
    with Endpoint() as aws:
        pid, directory = aws._process.pid, aws._directory
        other = type(world)(aws, {})
        other.function()
        other.client("lambda").invoke(FunctionName=other.name, Payload='{"Records": []}')
        assert len([each for each in left_behind(pid, directory) if each.startswith("process")]) == 2
        assert list(directory.iterdir())
    assert left_behind(pid, directory) == []


def test_stopping_twice_is_fine():
    aws = Endpoint()
    aws.start()
    aws.stop()
    aws.stop()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_when_the_parent_is_ended(world, how):
    parent, pid, directory = start_parent("time.sleep(60)")
    parent.send_signal(how)
    parent.communicate(timeout=20)
    world.wait_until(lambda: left_behind(pid, directory) == [])


def test_nothing_is_left_when_the_parent_raises(world):
    parent, pid, directory = start_parent("raise SystemExit(3)")
    parent.communicate(timeout=20)
    assert parent.returncode == 3
    assert left_behind(pid, directory) == []


def test_a_port_in_use_is_one_clear_line():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(EndpointError) as refused, Endpoint(port=port):
            pass
    assert str(refused.value) == (
        f"the local endpoint did not start: port {port} of 127.0.0.1 cannot be used: Address already in use; "
        "choose another one, or 0 for a free one"
    )


def test_it_serves_on_the_loopback_interface_only_and_on_one_port(world):
    pid = world.aws._process.pid
    sockets = {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()}
    inodes = {name.removeprefix("socket:[").removesuffix("]") for name in sockets if name.startswith("socket:[")}
    listening = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *rest = line.split()
            if state == "0A" and rest[5] in inodes:
                listening.add(local)
    port = int(world.aws.url.rpartition(":")[2])
    assert listening == {f"0100007F:{port:04X}"}


def test_the_parents_environment_reaches_neither_the_endpoint_nor_its_functions(world, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the caller's own")
    monkeypatch.setenv("SOME_TOKEN", "the caller's own")
    with Endpoint() as aws:
        environ = Path(f"/proc/{aws._process.pid}/environ").read_text()
        other = type(world)(aws, {})
        other.function("import os\n\ndef handler(event, context):\n    return dict(os.environ)\n")
        variables = other.invoke()
    assert "the caller's own" not in environ
    assert "the caller's own" not in variables.values()
    assert "SOME_TOKEN" not in variables
    assert variables["AWS_ACCESS_KEY_ID"] == aws.access_key_id


def test_every_start_issues_other_keys():
    one, two = Endpoint(), Endpoint()
    assert one.access_key_id != two.access_key_id
    assert one.secret_access_key != two.secret_access_key
    assert one.secret_access_key not in repr(one)
