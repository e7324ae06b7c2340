"""The endpoint as a process: how it starts, ends, and what it leaves behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from local.endpoint import Endpoint, EndpointError, journal
from local.endpoint.credentials import FILE

#: Starts an endpoint, says where it is and what belongs to it, and waits for the end.
PARENT = """
import sys, time
from pathlib import Path
from local.endpoint import Endpoint

with Endpoint({arguments}) as aws:
    print(aws.url, aws._process.pid, aws._directory.path, flush=True)
    {then}
"""


def left_behind(pid: int, directory: str | Path) -> list[str]:
    """List the remains of an endpoint: its process, its session's processes, its directory."""
    left = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        # A zombie keeps its files, and their locks, until the last of its threads has ended.
        ended = fields[0] == "Z" and int(fields[17]) <= 1
        if (int(entry.parent.name) == pid or int(fields[3]) == pid) and not ended:
            left.append(f"process {entry.parent.name}")
    return left + ([str(directory)] if Path(directory).exists() else [])


def start_parent(then: str, state: Path | None = None) -> tuple[subprocess.Popen[str], int, str]:
    arguments = "" if state is None else f"state=Path({str(state)!r}), command='the test'"
    script = PARENT.format(then=then, arguments=arguments)
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    _, pid, directory = parent.stdout.readline().split()
    return parent, int(pid), directory


def test_stop_ends_the_process_its_functions_and_its_directory(world):
    with Endpoint() as aws:
        pid, directory = aws._process.pid, aws._directory.path
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
    parent.communicate(timeout=60)
    world.wait_until(lambda: left_behind(pid, directory) == [])


#: Starts a process of its own and then does not come back.
NEVER_DONE = """
import subprocess, time

def handler(event, context):
    subprocess.Popen(["sleep", "600"])
    time.sleep(600)
"""


def run_for_ever(world, aws):
    """Invoke a function that is never done, and wait until it and its own process run."""
    other = type(world)(aws, {})
    other.function(NEVER_DONE, timeout=900)
    other.client("lambda").invoke(FunctionName=other.name, InvocationType="Event")
    world.wait_until(lambda: len(left_behind(aws._process.pid, "/nowhere")) == 3)


def test_functions_and_what_they_started_end_with_an_endpoint_that_is_killed(world):
    with Endpoint() as aws:
        run_for_ever(world, aws)
        pid, directory = aws._process.pid, aws._directory.path
        os.kill(pid, signal.SIGKILL)
        world.wait_until(lambda: left_behind(pid, "/nowhere") == [])
        assert aws.wait() == "was killed by SIGKILL"
    assert not directory.exists()


def test_what_a_killed_endpoint_and_its_parent_left_is_gone_with_the_next_start(world, tmp_path, monkeypatch):
    # Where no endpoint of another test removes it first.
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    parent, pid, directory = start_parent("time.sleep(60)")
    # As by a kill of everything at once: the endpoint cannot put away what its parent leaves.
    os.kill(pid, signal.SIGKILL)
    parent.kill()
    parent.communicate(timeout=60)
    world.wait_until(lambda: left_behind(pid, directory) == [directory])
    with Endpoint():
        assert left_behind(pid, directory) == []
    assert list(tmp_path.iterdir()) == []


def test_the_port_of_a_killed_endpoint_can_be_used_at_once(world):
    with Endpoint() as aws:
        run_for_ever(world, aws)
        os.kill(aws._process.pid, signal.SIGKILL)
        aws.wait()
        with Endpoint(port=int(aws.url.rpartition(":")[2])) as again:
            assert again.url == aws.url


def held(aws: Endpoint) -> journal.Held | None:
    written = journal.read(aws._directory.path)
    return written and written.held


def fill(world, aws: Endpoint) -> journal.Held:
    """Put something into an endpoint and wait until its journal says so."""
    other = type(world)(aws, {})
    stream = other.table("users")
    other.put("a", "b", table="users")
    queue = other.client("sqs").create_queue(QueueName="letters")["QueueUrl"]
    other.client("sqs").send_message(QueueUrl=queue, MessageBody="m")
    other.client("s3").create_bucket(Bucket="failures")
    other.client("s3").put_object(Bucket="failures", Key="k", Body=b"x")
    other.function(NEVER_DONE, timeout=900)
    other.client("lambda").create_event_source_mapping(
        FunctionName=other.name, EventSourceArn=stream, StartingPosition="TRIM_HORIZON"
    )
    expected = journal.Held(
        tables={"users": 2},
        queues={"letters": 1},
        buckets={"failures": 1},
        mappings=[journal.Reached(other.name, stream, unfinished=2, idle=False)],
        pipes=[],
    )
    world.wait_until(lambda: held(aws) == expected)
    return expected


def test_the_next_endpoint_tells_once_what_a_killed_one_held(world, tmp_path):
    with Endpoint(state=tmp_path, command="the test") as aws:
        expected = fill(world, aws)
        os.kill(aws._process.pid, signal.SIGKILL)
        aws.wait()
        directory = aws._directory
        # The parent is as good as dead: it neither stops the endpoint nor keeps its lock.
        aws._directory = None
        os.close(directory.lock)
    with Endpoint(state=tmp_path) as following:
        (lost,) = following.lost
    assert (lost.held, lost.command, lost.url) == (expected, "the test", aws.url)
    assert lost.started < lost.written
    with Endpoint(state=tmp_path) as last:
        assert last.lost == []


def kept(state: Path) -> list[Path]:
    """List the contents of a state directory without the secrets, which stay."""
    return [path for path in state.iterdir() if path.name != FILE]


def test_a_parent_that_outlives_its_endpoint_is_told_when_it_stops_it(world, tmp_path):
    with Endpoint(state=tmp_path) as aws:
        expected = fill(world, aws)
        os.kill(aws._process.pid, signal.SIGKILL)
        aws.wait()
    assert [lost.held for lost in aws.lost] == [expected]
    assert kept(tmp_path) == []


def test_of_a_parent_that_is_killed_the_journal_alone_is_left(world, tmp_path):
    parent, pid, directory = start_parent("time.sleep(60)", state=tmp_path)
    parent.kill()
    parent.communicate(timeout=60)
    world.wait_until(lambda: left_behind(pid, "/nowhere") == [])
    assert [path.name for path in Path(directory).iterdir()] == [journal.NAME]
    with Endpoint(state=tmp_path) as aws:
        assert [lost.command for lost in aws.lost] == ["the test"]
    assert kept(tmp_path) == []


def test_an_endpoint_that_was_stopped_leaves_no_journal(tmp_path):
    with Endpoint(state=tmp_path) as aws:
        assert held(aws) == journal.Held(mappings=[], pipes=[])
    assert kept(tmp_path) == []


def test_endpoints_that_share_their_state_do_not_disturb_each_other(world, tmp_path):
    with Endpoint(state=tmp_path) as one:
        with Endpoint(state=tmp_path) as two:
            assert two.lost == []
            two.client("dynamodb").list_tables()
        assert held(one) is not None
        assert one.client("dynamodb").list_tables()["TableNames"] == []
    assert one.lost == two.lost == []


def test_nothing_is_left_when_the_parent_raises(world):
    parent, pid, directory = start_parent("raise SystemExit(3)")
    parent.communicate(timeout=60)
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
    # A function has a key of its role's session, not the endpoint's own.
    assert variables["AWS_ACCESS_KEY_ID"].startswith("ASIA")
    assert aws.secret_access_key not in variables.values()


def test_endpoints_that_do_not_share_their_state_have_other_keys():
    one, two = Endpoint(), Endpoint()
    assert one.access_key_id != two.access_key_id
    assert one.secret_access_key != two.secret_access_key
    assert one.secret_access_key not in repr(one)


def test_readers_invokers_and_senders_need_no_socket(world):
    world.function("def handler(event, context):\n    raise ValueError(event)\n")
    mapping = world.mapping(world.table(), MaximumRetryAttempts=0, **world.to_bucket())
    world.put("a")
    world.wait_until(lambda: world.given_up(mapping))
    pid, port = world.aws._process.pid, int(world.aws.url.rpartition(":")[2])
    links = [link for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()]
    inodes = {str(link.readlink()).removeprefix("socket:[").removesuffix("]") for link in links}
    rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    assert [row for row in rows if row[9] in inodes and int(row[2].rpartition(":")[2], 16) == port] == []
