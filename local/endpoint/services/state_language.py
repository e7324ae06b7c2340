"""Definitions of state machines: the parts of the Amazon States Language that run here as on AWS.

A definition is passed on as a text. A field that ministack would ignore, and a path that it would read in another way,
are refused by name, so that no execution shows something that AWS does not do.

https://states-language.net/
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from local.endpoint.api.errors import AwsError, NotSimulated
from local.endpoint.services.executions import INTEGRATIONS

_MACHINE = "Comment QueryLanguage StartAt States TimeoutSeconds Version"
_ANY = "Assign Comment End InputPath Next Output OutputPath QueryLanguage Type"
_RESULT = "Arguments Catch Parameters ResultPath ResultSelector Retry"

#: The fields of each type of state, beside those of every type.
_FIELDS: Mapping[str, str] = {
    "Choice": "Choices Default",
    "Fail": "Cause CausePath Error ErrorPath",
    "Map": f"{_RESULT} ItemProcessor ItemReader ItemSelector Items ItemsPath Iterator Label MaxConcurrency "
    "ToleratedFailureCount ToleratedFailurePercentage",
    "Parallel": f"{_RESULT} Branches",
    "Pass": "Parameters Result ResultPath",
    "Succeed": "",
    "Task": f"{_RESULT} HeartbeatSeconds Resource TimeoutSeconds",
    "Wait": "Seconds SecondsPath Timestamp TimestampPath",
}

#: A function by its ARN, or an integration: a service and an action, which may wait for a token or for the end.
_RESOURCE = re.compile(
    r"arn:aws:lambda:[^:]*:[^:]*:function:[^:]+(:[^:]+)?"
    r"|arn:aws:states:::((?P<service>[a-z0-9]+)|aws-sdk:[a-zA-Z0-9]+):[a-zA-Z]+(\.sync(:2)?|\.waitForTaskToken)?"
)

#: Seconds that AWS takes as a time-out.
_LONGEST_SECONDS = 99_999_999

#: A path to one place: names and indexes, from the input or from the context.
_PATH = re.compile(r"\$\$?(?:\.[A-Za-z_][\w-]*|\[\d+\]|\['[^']*'\])*")


def check_definition(text: str) -> None:
    """Refuse a definition that is broken, or that would not run here as on AWS.

    Raises:
        AwsError: `InvalidDefinition`: the definition is broken.
        NotSimulated: It uses a field or a path that is not simulated; the message names it.
    """
    try:
        definition = json.loads(text)
    except ValueError as wrong:
        raise _invalid(f"INVALID_JSON_DESCRIPTION: {wrong}") from wrong
    _check_machine(definition, _MACHINE, "the definition")


def _check_machine(machine: Any, fields: str, place: str) -> None:
    if not isinstance(machine, dict):
        raise _invalid(f"SCHEMA_VALIDATION_FAILED: {place} is not an object")
    found = cast("dict[str, Any]", machine)
    states = found.get("States")
    if not isinstance(states, dict) or not states or found.get("StartAt") not in states:
        raise _invalid(f"MISSING_TRANSITION_TARGET: StartAt of {place} is not one of its States")
    _check_fields(found, fields, place)
    _check_seconds(found, place)
    names = cast("dict[str, Any]", states)
    for name, state in names.items():
        _check_state(name, state, names)


def _check_state(name: str, state: Any, states: Mapping[str, Any]) -> None:
    place = f"the state {name!r}"
    kind = str(cast("dict[str, Any]", state).get("Type")) if isinstance(state, dict) else ""
    if kind not in _FIELDS:
        raise _invalid(f"SCHEMA_VALIDATION_FAILED: {place} has no known Type")
    _check_fields(state, f"{_ANY} {_FIELDS[kind]}", place)
    if kind == "Task":
        _check_task(state, place)
    for target in _targets(state):
        if target not in states:
            raise _invalid(f"MISSING_TRANSITION_TARGET: {place} leads to {target!r}, which is not a state")
    if kind not in ("Choice", "Fail", "Succeed") and ("Next" in state) == (state.get("End") is True):
        raise _invalid(f"SCHEMA_VALIDATION_FAILED: {place} needs either Next or End")
    for branch in state.get("Branches", []):
        _check_machine(branch, "Comment QueryLanguage StartAt States", f"a branch of {place}")
    for member in ("ItemProcessor", "Iterator"):
        if member in state:
            fields = "Comment ProcessorConfig QueryLanguage StartAt States"
            _check_machine(state[member], fields, f"{member} of {place}")
    paths = {
        member: value for member, value in state.items() if member not in ("Branches", "ItemProcessor", "Iterator")
    }
    for member, path in _paths(paths):
        if path is not None and not path.startswith("States.") and not _PATH.fullmatch(path):
            raise NotSimulated(
                f"the local endpoint does not evaluate the path {path!r} ({member} of {place}): it reads names and "
                "indexes; use those, or test this state machine on an AWS account"
            )


def _check_task(state: Mapping[str, Any], place: str) -> None:
    resource = str(state.get("Resource", ""))
    service = _RESOURCE.fullmatch(resource)
    if service is None or (service["service"] is not None and service["service"] not in INTEGRATIONS):
        raise NotSimulated(
            f"the local endpoint does not run the resource {resource!r} of {place} with the rights of the machine's "
            f"role: it runs functions, and the integrations of {', '.join(sorted(INTEGRATIONS))} and aws-sdk; use "
            "those, or test this state machine on an AWS account"
        )
    _check_seconds(state, place)
    if "HeartbeatSeconds" in state and not resource.endswith(".waitForTaskToken"):
        raise NotSimulated(
            f"the local endpoint does not honour HeartbeatSeconds of {place}, which waits for no task token: leave it "
            "out here, or test this state machine on an AWS account"
        )
    limit, silence = state.get("TimeoutSeconds"), state.get("HeartbeatSeconds")
    if limit is not None and silence is not None and silence >= limit:
        raise _invalid(f"SCHEMA_VALIDATION_FAILED: HeartbeatSeconds of {place} must be smaller than TimeoutSeconds")


def _check_seconds(part: Mapping[str, Any], place: str) -> None:
    for member in ("TimeoutSeconds", "HeartbeatSeconds"):
        seconds = part.get(member, 1)
        if isinstance(seconds, str):
            raise NotSimulated(
                f"the local endpoint does not evaluate {member}={seconds!r} of {place}: write a number of seconds, or "
                "test this state machine on an AWS account"
            )
        if not isinstance(seconds, int) or isinstance(seconds, bool) or not 1 <= seconds <= _LONGEST_SECONDS:
            raise _invalid(
                f"SCHEMA_VALIDATION_FAILED: {member} of {place} is not a number from 1 to {_LONGEST_SECONDS}"
            )


def _check_fields(part: Mapping[str, Any], fields: str, place: str) -> None:
    if refused := sorted(set(part) - set(fields.split())):
        raise NotSimulated(
            f"the local endpoint does not honour {', '.join(refused)} of {place}, and ignoring it would show something "
            "that AWS does not do: leave it out here, or test this state machine on an AWS account"
        )


def _targets(state: Mapping[str, Any]) -> Iterator[str]:
    for part in (state, *state.get("Choices", []), *state.get("Catch", [])):
        if "Next" in part:
            yield part["Next"]
    if "Default" in state:
        yield state["Default"]


def _paths(part: Any) -> Iterator[tuple[str, str | None]]:
    """Yield every member that holds a path, with the path."""
    if isinstance(part, list):
        for each in cast("list[Any]", part):
            yield from _paths(each)
    elif isinstance(part, dict):
        for name, value in cast("dict[str, Any]", part).items():
            if (name.endswith(("Path", ".$")) or name == "Variable") and (value is None or isinstance(value, str)):
                yield name, value
            else:
                yield from _paths(value)


def _invalid(why: str) -> AwsError:
    return AwsError("InvalidDefinition", f"Invalid State Machine Definition: '{why}'")
