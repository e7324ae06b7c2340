"""Mails of the local stack, as lines among those of the logs. SES keeps none, so a stack on AWS has no such lines."""

from __future__ import annotations

from collections.abc import Iterator

from ops.function_logs import LogLine
from ops.operator.stack import Stack

SENDER = "SES"


class MailReader:
    """Reads the accepted mails on and on, each once.

    Args:
        stack: The stack.
        since: Time of the first mail, in seconds since 1970.
    """

    def __init__(self, stack: Stack, *, since: float) -> None:
        self._control = stack.control
        self._since = since
        self._read = 0

    def new(self) -> Iterator[LogLine]:
        """Yield the mails since the last call: receiver and subject, and not the text."""
        if self._control is None:
            return
        mails = self._control.mails()
        for mail in mails[self._read :]:
            if mail["Timestamp"] >= self._since:
                text = f"to {', '.join(mail['To'])}: {mail['Subject']}"
                yield LogLine(mail["Timestamp"], SENDER, "", "mail", "", "", text, {})
        self._read = len(mails)
