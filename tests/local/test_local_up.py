"""`weir local up`: any client can use the program until Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import boto3
import pytest

WEIR = Path(sys.executable).with_name("weir")


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def test_the_program_runs_on_the_given_port_until_ctrl_c_for_any_client(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    up = subprocess.Popen(
        [WEIR, "local", "up", "--json", "--port", str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    try:
        assert up.stdout is not None
        told = json.loads(up.stdout.readline())
        environment, outputs = told["environment"], told["outputs"]
        assert environment["AWS_ENDPOINT_URL"] == f"http://127.0.0.1:{port}"
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            monkeypatch.delenv(name)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        dynamodb = boto3.Session().client("dynamodb")
        table = dynamodb.describe_table(TableName=outputs["usersTable"])["Table"]
        assert table["LatestStreamArn"] == outputs["streamArn"]
        second = subprocess.run(
            [WEIR, "local", "up", "--port", str(port)], capture_output=True, text=True, check=False, timeout=60
        )
        assert second.returncode == 2
        assert f"port {port} of 127.0.0.1 cannot be used: Address already in use" in second.stderr
    finally:
        up.send_signal(signal.SIGINT)
        _, errors = up.communicate(timeout=60)
    assert up.returncode == 0
    assert errors.strip().endswith("stopped")
    assert f"start the AWS endpoint: {environment['AWS_ENDPOINT_URL']}" in errors
    assert list(tmp_path.iterdir()) == []
