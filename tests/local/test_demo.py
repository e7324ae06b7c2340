"""The two commands of the README: `weir demo` holds its claims, and breaks them when what they rest on is missing."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner

from ops.cli import app
from ops.demo.mechanisms import Mechanism
from ops.demo.receivers import RECEIVERS
from tests.local.world import wait_until

WEIR = Path(sys.executable).with_name("weir")

#: Seconds far beyond what the runs take together on two busy cores.
PATIENCE = 1800
#: Consumers whose receiver is a process that the demo starts.
SERVERS = ("read-model-sql", "read-model-cache")

#: What to run without a mechanism, and which claims break. Others may break too: what is lost early cannot be hit by
#: a later fault, and whether a poison record takes healthy ones with it depends on the batch it came in.
GUARDED = {"entitlements", "users-by-email", "read-model-sql", "read-model-cache"}
WITHOUT = {
    "ledger": (["--only=welcome-email", "--only=account-ready"], {"welcome-email", "account-ready"}),
    "version-guard": ([f"--only={name}" for name in sorted(GUARDED)], GUARDED),
    "event-id": (["--only=webhooks", "--only=webhook-sender"], {"webhooks", "webhook-sender"}),
    "execution-name": (["--only", "onboarding"], {"onboarding"}),
    "compensation": (["--only", "onboarding"], {"onboarding"}),
    "counter-markers": (["--only", "plan-counts"], {"plan-counts"}),
    "idempotency-key": (["--only", "crm-sync"], {"crm-sync"}),
    "write-once": (["--only", "audit-log"], {"audit-log"}),
    "partial-batch-response": (
        ["--only=welcome-email", "--only=leaderboard", "--only=account-ready"],
        {"dead-letters", "leaderboard", "account-ready-accounts"},
    ),
    "bisect": ([], {"welcome-email", "dead-letters"}),
    "failure-destination": ([], {"dead-letters", "nothing-behind", "alarms"}),
}


class Ran(NamedTuple):
    """An ended demo."""

    code: int
    printed: str
    progress: str


@pytest.fixture(scope="module")
def runs() -> Iterator[dict[str, Future[Ran]]]:
    """A small demo of each route, and one without each mechanism, two at a time: a busy machine breaks claims."""
    small = ["--users", "20", "--json"]
    wanted = {"fan-out": small, "direct": [*small, "--direct"]}
    wanted |= {name: [*small, "--without", name, *options] for name, (options, _) in WITHOUT.items()}
    running: list[subprocess.Popen[str]] = []

    def run(arguments: list[str]) -> Ran:
        process = _demo(*arguments)
        running.append(process)
        printed, progress = process.communicate(timeout=PATIENCE)
        return Ran(process.returncode, printed, progress)

    with ThreadPoolExecutor(2) as pool:
        yield {name: pool.submit(run, arguments) for name, arguments in wanted.items()}
        pool.shutdown(wait=False, cancel_futures=True)
        for process in running:
            process.kill()


def _demo(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [WEIR, "demo", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


@pytest.mark.parametrize("route", ["fan-out", "direct"])
def test_a_small_demo_holds_every_claim(route: str, runs: dict[str, Future[Ran]]) -> None:
    code, printed, progress = runs[route].result(PATIENCE)
    assert code == 0, progress + printed
    report = json.loads(printed)
    assert {claim["name"]: claim["broken"] for claim in report["claims"] if not claim["holds"]} == {}
    # Two users have no address, which two consumers need; the third poison record ends a function.
    assert report["counts"]["dead letters"] == (5 if route == "fan-out" else 3)
    assert report["counts"]["duplicates suppressed"] >= 1
    mail = report["consumers"]["welcome-email"]
    assert (mail["effects"], mail["alarms"]["dead-letters"]) == (12, "ALARM")
    shown = {receiver.consumer for receiver in RECEIVERS} if route == "fan-out" else {"welcome-email"}
    assert set(report["consumers"]) == shown


@pytest.mark.parametrize("mechanism", WITHOUT)
def test_a_demo_without_a_mechanism_names_what_broke(mechanism: str, runs: dict[str, Future[Ran]]) -> None:
    code, printed, progress = runs[mechanism].result(PATIENCE)
    assert code == 1, progress
    report = json.loads(printed)
    broken = {claim["name"] for claim in report["claims"] if not claim["holds"]}
    assert broken >= WITHOUT[mechanism][1]
    assert f"switched off: {mechanism}, so " in progress
    assert "claims that do not hold: " in progress


def test_every_mechanism_can_be_seen_missing() -> None:
    assert set(WITHOUT) == set(Mechanism)


def test_every_consumers_claim_is_seen_to_break_without_each_of_its_mechanisms() -> None:
    rests_on = {(each.consumer, mechanism) for each in RECEIVERS for mechanism in each.mechanisms}
    assert rests_on <= {(claim, mechanism) for mechanism, (_, broken) in WITHOUT.items() for claim in broken}


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--only", "fax"], "the demo shows no consumer 'fax'"),
        (["--only", "crm-sync", "--direct"], "on the direct route"),
        (["--only", "crm-sync", "--without", "version-guard"], "version-guard belongs to entitlements"),
    ],
)
def test_a_choice_that_cannot_be_shown_is_a_usage_error(arguments: list[str], why: str) -> None:
    said = CliRunner().invoke(app, ["demo", *arguments], env={"COLUMNS": "200"})
    assert said.exit_code == 2
    assert why in said.stderr


def test_workflows_that_do_not_end_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def late(*_: Any, **__: Any) -> None:
        raise TimeoutError("onboardings were still running after 300 s")

    monkeypatch.setattr("ops.demo.run.run_demo", late)
    said = CliRunner().invoke(app, ["demo"])
    assert (said.exit_code, said.stderr) == (2, "onboardings were still running after 300 s\n")


def test_a_port_in_use_is_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        demo = _demo("--users", "20", "--direct", "--port", str(port))
        _, errors = demo.communicate(timeout=PATIENCE)
    assert demo.returncode == 2
    assert f"{port}" in errors
    assert "Traceback" not in errors
    assert len(errors.strip().splitlines()) == 1


def test_a_wrong_number_of_users_is_a_usage_error() -> None:
    demo = _demo("--users", "19")
    _, errors = demo.communicate(timeout=PATIENCE)
    assert demo.returncode == 2
    assert "--users" in errors


def test_an_endpoint_that_is_killed_ends_the_demo_with_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    demo, children = _half_way(tmp_path, "--direct")
    endpoint = next(pid for pid in children if "local.endpoint.server" in _command(pid))
    os.kill(endpoint, signal.SIGKILL)
    _, errors = demo.communicate(timeout=PATIENCE)
    assert demo.returncode == 2
    assert errors == "the AWS endpoint was killed by SIGKILL\n"
    wait_until(lambda: [pid for pid in children if _runs(pid)] == [], timeout=PATIENCE)
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_stops_everything_and_leaves_nothing() -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        demo, children = _half_way(directory, *(f"--only={each}" for each in SERVERS))
        assert any("valkey" in _command(pid) for pid in children)
        # PostgreSQL runs as another user than root, and opens the directory to that user.
        directory.chmod(0o700)
        demo.send_signal(signal.SIGINT)
        _, errors = demo.communicate(timeout=PATIENCE)
        assert demo.returncode == 130
        assert errors.strip() == "stopped"
        wait_until(lambda: [pid for pid in children if _runs(pid)] == [], timeout=PATIENCE)
        assert list(directory.iterdir()) == []


def _half_way(directory: Path, *options: str) -> tuple[subprocess.Popen[str], list[int]]:
    """A demo that has created its users, and its processes."""
    environment = {**os.environ, "TMPDIR": str(directory), "PYTHONUNBUFFERED": "1"}
    demo = _demo("--users", "20", *options, env=environment)
    assert demo.stdout is not None
    for line in demo.stdout:
        if "create the users" in line:
            break
    children = _descendants(demo.pid)
    assert children
    return demo, children


def _descendants(pid: int) -> list[int]:
    parents = {
        int(stat.parent.name): int(stat.read_text().rpartition(")")[2].split()[1])
        for stat in Path("/proc").glob("[0-9]*/stat")
    }
    found = [pid]
    for candidate in sorted(parents):
        if parents[candidate] in found:
            found.append(candidate)
    return found[1:]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except FileNotFoundError:
        return ""


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
