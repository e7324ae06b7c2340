"""Happenings on the local stack, one line each: failures, dead letters, mails, throttled readers, idle consumers."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from botocore.exceptions import BotoCoreError, ClientError

from local.endpoint.control.client import Control, ControlError
from ops.function_logs import LogLine, LogReader, log_group_of
from ops.running import forwarders_of

#: Seconds between two looks at the endpoint.
LOOK_SECONDS = 0.5
#: Changes that a consumer turns down, and none accepted, before it is suspected of a wrong condition.
SUSPICIOUS_CHANGES = 10
#: Errors in logs that are remembered, to give failed invocations their reasons.
_KEPT_ERRORS = 1_000

Kind = Literal["failed", "parked", "dead letter", "lost", "mail", "throttled", "turned down"]


@dataclass(frozen=True)
class Happening:
    """Something that the user of the local stack should know.

    Attributes:
        at: Seconds since 1970.
        kind: Its kind.
        subject: The consumer, pipe or service.
        text: The rest of its line.
        details: Members of its JSON document.
    """

    at: float
    kind: Kind
    subject: str
    text: str
    details: Mapping[str, Any]

    def line(self) -> str:
        """Return the line for people, with the local time."""
        return f"{time.strftime('%H:%M:%S', time.localtime(self.at))}  {self.subject}  {self.kind}: {self.text}"

    def as_json(self) -> dict[str, Any]:
        """Return the document for programs."""
        named = asdict(self)
        return {name: named[name] for name in ("at", "kind", "subject", "text")} | dict(self.details)


class Watch:
    """Finds the happenings of a running stack.

    Args:
        control: The endpoint's control API.
        client: Makes a boto3 client of a service.
        outputs: The stack's outputs, which an update of the program may change.
    """

    def __init__(self, control: Control, client: Callable[[str], Any], outputs: Mapping[str, Any]) -> None:
        self._control = control
        self._functions = client("lambda")
        self._logs = client("logs")
        self._outputs = outputs
        self._read: Counter[str] = Counter()
        self._mails = 0
        self._throttled: set[tuple[str, str]] = set()
        self._turned_down: Counter[str] = Counter()
        self._invoked: Counter[str] = Counter()
        self._suspected: set[str] = set()
        self._logs_of: dict[str, LogReader] = {}
        self._errors: deque[LogLine] = deque(maxlen=_KEPT_ERRORS)
        self._began = time.time()

    def new(self) -> list[Happening]:
        """List the happenings since the last call, oldest first.

        Raises:
            OSError: The endpoint has ended.
        """
        found: list[Happening] = []
        names = self._names()
        for mapping in self._control.mappings():
            name = names.get(mapping.uuid, mapping.functionName)
            entries = self._control.history(mapping.uuid, after=self._read[mapping.uuid])
            self._read[mapping.uuid] += len(entries)
            found += self._parked(name, mapping.functionName)
            found += self._of_history(name, entries)
            found += self._suspicion(name, mapping.uuid, mapping.functionName, entries)
        for pipe in self._control.pipes():
            entries = self._control.pipe_history(pipe.name, after=self._read[pipe.name])
            self._read[pipe.name] += len(entries)
            found += self._of_history(pipe.name, entries)
        return sorted([*found, *self._new_mails(), *self._new_throttling()], key=lambda each: each.at)

    def _names(self) -> dict[str, str]:
        """The consumers of the stack as it is now, by their mappings."""
        names = {each["eventSourceMapping"]: name for name, each in self._outputs.get("consumers", {}).items()}
        return names | {uuid: name for name, uuid in forwarders_of(self._outputs).items()}

    def _of_history(self, name: str, entries: list[dict[str, Any]]) -> Iterator[Happening]:
        for entry in entries:
            if entry["kind"] == "given up":
                yield _given_up(name, entry)
            elif entry["kind"] == "invocation" and entry["outcome"] not in ("success", "throttled"):
                yield self._failure(name, entry)

    def _failure(self, name: str, entry: Mapping[str, Any]) -> Happening:
        logged = [each for each in self._errors if each.request_id == entry["request_id"]]
        if entry["outcome"] == "timeout":
            reason = "timed out"  # whatever it logged before
        else:
            reason = _reason(logged[-1]) if logged else entry["error_type"] or entry["outcome"]
        failed = logged[-1].members.get("sequenceNumber") if logged else None
        keys = [key for key, each in zip(entry["keys"], entry["identifiers"], strict=False) if each == failed]
        records = _items(keys or entry["keys"], len(keys or entry["identifiers"]))
        details = {
            "reason": reason,
            "outcome": entry["outcome"],
            "attempt": entry["attempt"],
            "requestId": entry["request_id"],
            "keys": keys or entry["keys"],
        }
        return Happening(entry["at"], "failed", name, f"{records}, attempt {entry['attempt']}: {reason}", details)

    def _parked(self, name: str, function: str) -> Iterator[Happening]:
        """Yield the records that the consumer parked itself, and remember the errors in its log."""
        if function not in self._logs_of:
            group = log_group_of(self._functions, function)
            self._logs_of[function] = LogReader(self._logs, function=function, group=group, since=self._began)
        try:
            for line in self._logs_of[function].new():
                if line.kind == "parked":
                    details = {"requestId": line.request_id, "eventId": line.members.get("eventId")}
                    yield Happening(line.at, "parked", name, line.text, details)
                elif line.level == "ERROR":
                    self._errors.append(line)
        except self._logs.exceptions.ResourceNotFoundException:
            return  # nothing was logged yet

    def _suspicion(self, name: str, uuid: str, function: str, entries: list[dict[str, Any]]) -> Iterator[Happening]:
        """Yield a warning, once, when a condition has turned down every change for a while."""
        self._turned_down[uuid] += sum(len(each["identifiers"]) for each in entries if each["kind"] == "filtered out")
        if uuid in self._suspected:
            return
        first = [each for each in entries if each["kind"] == "invocation" and each["attempt"] == 1]
        self._invoked[uuid] += sum(len(each["identifiers"]) for each in first)
        unwanted = int(self._control.metric_sum("Unwanted", FunctionName=function))
        turned_down = self._turned_down[uuid] + unwanted
        if self._invoked[uuid] > unwanted:
            self._suspected.add(uuid)  # it accepts some: never again
        elif turned_down >= SUSPICIOUS_CHANGES:
            self._suspected.add(uuid)
            text = (
                f"its condition accepted none of the {turned_down} changes so far; if that is not what you expect, "
                "compare the attributes it names with those of the items"
            )
            yield Happening(time.time(), "turned down", name, text, {"changes": turned_down})

    def _new_mails(self) -> Iterator[Happening]:
        mails = self._control.mails()
        for mail in mails[self._mails :]:
            to = ", ".join(mail["To"])
            details = {"to": mail["To"], "from": mail["Source"], "mailSubject": mail["Subject"]}
            yield Happening(mail["Timestamp"], "mail", "SES", f"to {to}: {mail['Subject']}", details)
        self._mails = len(mails)

    def _new_throttling(self) -> Iterator[Happening]:
        for each in self._control.throttling():
            shard = each["streamArn"], each["shardId"]
            if shard not in self._throttled:
                self._throttled.add(shard)
                table = each["streamArn"].split("/")[1]
                text = f"reads of {each['streamArn']} are throttled: {each['advice']}"
                yield Happening(time.time(), "throttled", table, text, dict(each))


def _given_up(name: str, entry: Mapping[str, Any]) -> Happening:
    records = _items(entry["keys"], len(entry["identifiers"]))
    details = {
        "condition": entry["condition"],
        "location": entry["location"],
        "identifiers": entry["identifiers"],
        "keys": entry["keys"],
    }
    if entry["location"] is None:
        text = f"{records}, {entry['condition']}, and no destination has them"
        return Happening(entry["at"], "lost", name, text, details)
    return Happening(entry["at"], "dead letter", name, f"{records}, {entry['condition']}: {entry['location']}", details)


def _reason(line: LogLine) -> str:
    error = [str(line.members[name]) for name in ("errorType", "errorMessage") if line.members.get(name)]
    return ": ".join(error) or line.text


def _items(keys: list[dict[str, Any]], count: int) -> str:
    if count == 1 and keys:
        return _item(keys[0])
    return f"{count} record{'' if count == 1 else 's'}"


def _item(keys: Mapping[str, Any]) -> str:
    """Write an item's keys as plain values, e.g. `userId=bob`."""
    plain = {name: next(iter(value.values())) if isinstance(value, dict) else value for name, value in keys.items()}
    return " ".join(f"{name}={value}" for name, value in plain.items())


def tell(watch: Watch, write: Callable[[Happening], None]) -> None:
    """Write happenings until the endpoint has ended."""
    while True:
        threading.Event().wait(LOOK_SECONDS)
        try:
            for each in watch.new():
                write(each)
        except OSError:
            return
        except (BotoCoreError, ClientError, ControlError):
            continue  # something was deleted between two calls, or the endpoint is about to end


def as_line(happening: Happening) -> str:
    """Return a happening as one line of JSON."""
    return json.dumps(happening.as_json())
