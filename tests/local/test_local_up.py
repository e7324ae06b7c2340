"""`weir local up`: any client can use the program until Ctrl-C."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local.endpoint.credentials import FILE
from tests.local.world import wait_until

WEIR = Path(sys.executable).with_name("weir")


def free_port() -> str:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return str(listening.getsockname()[1])


def below(directory: Path) -> dict[str, str]:
    """The environment of a command that leaves whatever it leaves below a directory."""
    return {**os.environ, "TMPDIR": str(directory), "XDG_STATE_HOME": str(directory)}


def start(directory: Path, *arguments: str) -> tuple[subprocess.Popen[str], dict[str, Any]]:
    """Start it; the process, and what it says once it is up."""
    up = subprocess.Popen(
        [WEIR, "local", "up", "--no-cli", "--json", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=below(directory),
    )
    assert up.stdout is not None
    return up, json.loads(up.stdout.readline())


def tables(told: dict[str, Any]) -> Any:
    """A client of DynamoDB with what it says of itself."""
    environment = told["environment"]
    return boto3.client(
        "dynamodb",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        region_name=environment["AWS_REGION"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )


def put_a_user(told: dict[str, Any], directory: Path) -> None:
    """Write an item and wait until the journal has it."""
    table = told["outputs"]["usersTable"]
    tables(told).put_item(TableName=table, Item={"userId": {"S": "a"}})
    wait_until(lambda: any(json.loads(each.read_text())["held"]["tables"][table] for each in journals(directory)))


def journals(directory: Path) -> list[Path]:
    return list(directory.rglob("journal.json"))


def endpoint_of(pid: int) -> int:
    """The process id of its endpoint."""
    (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(child)


def throttle(stream_arn: str) -> None:
    """Read a stream by three clients until one of them is refused."""
    once = Config(retries={"total_max_attempts": 1})
    clients: list[Any] = [boto3.Session().client("dynamodbstreams", config=once) for _ in range(3)]
    (shard,) = clients[0].describe_stream(StreamArn=stream_arn)["StreamDescription"]["Shards"]
    position = {"StreamArn": stream_arn, "ShardId": shard["ShardId"], "ShardIteratorType": "LATEST"}
    iterator = clients[0].get_shard_iterator(**position)["ShardIterator"]
    with contextlib.suppress(ClientError):
        for client in itertools.cycle(clients):
            client.get_records(ShardIterator=iterator)


def test_the_program_runs_on_the_given_port_until_ctrl_c_for_any_client(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    up, told = start(tmp_path, "--port", port)
    try:
        environment, outputs = told["environment"], told["outputs"]
        assert environment["AWS_ENDPOINT_URL"] == f"http://127.0.0.1:{port}"
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            monkeypatch.delenv(name)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        dynamodb = boto3.Session().client("dynamodb")
        table = dynamodb.describe_table(TableName=outputs["usersTable"])["Table"]
        assert table["LatestStreamArn"] == outputs["streamArn"]
        throttle(outputs["streamArn"])
        assert up.stdout is not None
        happening = json.loads(up.stdout.readline())
        assert (happening["kind"], happening["streamArn"]) == ("throttled", outputs["streamArn"])
        second = subprocess.run(
            [WEIR, "local", "up", "--no-cli", "--port", port],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env=below(tmp_path),
        )
        assert second.returncode == 2
        assert f"port {port} of 127.0.0.1 cannot be used: Address already in use" in second.stderr
    finally:
        up.send_signal(signal.SIGINT)
        _, errors = up.communicate(timeout=60)
    assert up.returncode == 0
    assert errors.strip().endswith("stopped")
    assert f"start the AWS endpoint: {told['environment']['AWS_ENDPOINT_URL']}" in errors
    assert (told["lost"], told["notJudged"]) == ([], [])
    assert [path.name for path in tmp_path.rglob("*") if not path.is_dir()] == [FILE]


def test_what_is_killed_is_told_of_and_leaves_nothing_that_disturbs_the_next_start(tmp_path: Path) -> None:
    port = free_port()

    # The command is killed.
    up, told = start(tmp_path, "--port", port)
    put_a_user(told, tmp_path)
    endpoint, table = endpoint_of(up.pid), told["outputs"]["usersTable"]
    up.kill()
    up.communicate(timeout=60)
    wait_until(lambda: not Path(f"/proc/{endpoint}").exists())

    # The next says so, on the same port, and then its endpoint is killed.
    up, told = start(tmp_path, "--port", port)
    (lost,) = told["lost"]
    assert (lost["command"], lost["url"]) == ("weir local up", told["environment"]["AWS_ENDPOINT_URL"])
    assert lost["held"]["tables"][table] == 1
    put_a_user(told, tmp_path)
    os.kill(endpoint_of(up.pid), signal.SIGKILL)
    _, errors = up.communicate(timeout=60)
    assert up.returncode == 2
    before, deployed, after = errors.partition("deploy the program")
    assert deployed
    assert f"{told['environment']['AWS_ENDPOINT_URL']} ended without being stopped" in before
    assert f"tables      {table} 1 item" in before
    assert "The stack is deployed anew" in before
    assert "tables      " in after
    assert errors.rstrip().endswith("the AWS endpoint was killed by SIGKILL")

    # The loss was reported already, and SIGTERM stops in order.
    up, told = start(tmp_path, "--port", port)
    assert told["lost"] == []
    up.terminate()
    _, errors = up.communicate(timeout=60)
    assert (up.returncode, errors.strip().splitlines()[-1]) == (0, "stopped")
    assert [path.name for path in tmp_path.rglob("*") if not path.is_dir()] == [FILE]
