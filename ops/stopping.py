"""Ctrl-C and SIGTERM end a command with one word and an exit status, at any moment."""

from __future__ import annotations

import functools
import signal
from collections.abc import Callable
from types import FrameType
from typing import ParamSpec

import typer

P = ParamSpec("P")


def stopped_by_ctrl_c(status: int) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """End a command with `status` when it is interrupted or terminated, after its clean-up."""

    def decorate(command: Callable[P, None]) -> Callable[P, None]:
        @functools.wraps(command)
        def run(*args: P.args, **kwargs: P.kwargs) -> None:
            signal.signal(signal.SIGTERM, _stop_once)
            # A shell's background jobs ignore it.
            if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
                signal.signal(signal.SIGINT, _stop_once)
            try:
                command(*args, **kwargs)
            except KeyboardInterrupt:
                typer.echo("stopped", err=True)
                raise typer.Exit(status) from None

        return run

    return decorate


def _stop_once(_number: int, _frame: FrameType | None) -> None:
    """Stop, and ignore further signals during the clean-up, which takes seconds."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt
