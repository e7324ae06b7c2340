from __future__ import annotations

import sys

import pytest

from ops.__main__ import main


def test_stopped_while_it_still_loads_the_command_says_so_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Interrupted:
        """What ctrl-C in the middle of an import looks like."""

        def find_spec(self, name: str, *_: object) -> None:
            if name == "ops.cli":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "ops.cli", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Interrupted(), *sys.meta_path])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 130
    assert capsys.readouterr().err == "stopped\n"
