from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ops.__main__ import main


def test_stopped_while_it_still_loads_the_command_says_so_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Interrupted:
        """A module that behaves like ctrl-C in the middle of an import."""

        def find_spec(self, name: str, *_: object) -> None:
            if name == "ops.cli":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "ops.cli", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Interrupted(), *sys.meta_path])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 130
    assert capsys.readouterr().err == "stopped\n"


def test_ctrl_c_while_a_command_loads_its_parts_says_stopped(tmp_path: Path) -> None:
    # The demo's parts take a second to import: interrupted there, it has printed nothing yet.
    late = "import builtins, signal; load = builtins.__import__\n"
    late += "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # background jobs inherit that it is ignored
    late += "def stop(name, *rest):\n"
    late += "    if name == 'local.deploy.deployment': signal.raise_signal(signal.SIGINT)\n"
    late += "    return load(name, *rest)\n"
    late += "builtins.__import__ = stop\nfrom ops.__main__ import main\nmain()\n"
    stopped = subprocess.run(
        [sys.executable, "-c", late, "demo"], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert (stopped.returncode, stopped.stderr, stopped.stdout) == (130, "stopped\n", "")


def test_a_second_ctrl_c_does_not_disturb_what_the_first_one_has_put_away() -> None:
    impatient = """
import os, signal, sys, time
import typer
from ops.stopping import stopped_by_ctrl_c

@stopped_by_ctrl_c(3)
def command():
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(60)
    finally:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        print("put away")

signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    command()
except typer.Exit as ended:
    sys.exit(ended.exit_code)
"""
    stopped = subprocess.run([sys.executable, "-c", impatient], capture_output=True, text=True, check=False)
    assert (stopped.returncode, stopped.stdout, stopped.stderr) == (3, "put away\n", "stopped\n")


@pytest.mark.parametrize(
    ("line", "completed"),
    [
        ("weir status --state {state} wel", ["welcome-email"]),
        ("weir dead-letters redrive --state {state} ", ["welcome-email", "entitlements", "forwarder", "webhooks"]),
        ("weir dead-letters list --state {state} webh", ["webhooks"]),
        ("weir pause --state {state} webh", ["webhooks"]),
        ("weir reread --state {state} webh", []),
        ("weir pause --state {state} nothing", []),
        ("weir status --state {missing} ", []),
        ("weir demo --only ent", ["entitlements"]),
    ],
)
def test_names_of_consumers_complete_from_the_stacks_outputs(line: str, completed: list[str], tmp_path: Path) -> None:
    state = tmp_path / "stack.json"
    outputs = {"consumers": {"welcome-email": {}, "entitlements": {}}, "pipes": {"webhooks": {}}, "forwarder": "uuid"}
    state.write_text(json.dumps(outputs))
    words = line.format(state=state, missing=tmp_path / "missing.json")
    position = len(words.split()) - (0 if words.endswith(" ") else 1)
    asked = {"_WEIR_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(position)}
    done = subprocess.run(
        [Path(sys.executable).with_name("weir")],
        env={**os.environ, **asked},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.split(), done.stderr) == (completed, "")
