"""`parse`: reads a scenario's text, and reports everything that is wrong with it in one go."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from local.simulation.aws_refusals import refusals
from local.simulation.collector import uncollected
from local.simulation.contradictions import contradictions
from local.simulation.pasted import NoRecords, without_answers
from local.simulation.records import MOST_DIGITS
from local.simulation.scenario import Scenario
from local.simulation.scenario_text import RepeatedKey, read
from local.simulation.unknown_keys import unknown_key


class InvalidScenario(ValueError):
    """Scenario that cannot be run. The message has one line per problem."""


def parse(text: str) -> Scenario:
    """Read and check the scenario in a YAML or JSON text.

    Raises:
        InvalidScenario: The text is neither, or something in it is wrong: every problem has a line.
    """
    try:
        with uncollected():
            return _parsed(text)
    except RecursionError as error:
        raise InvalidScenario("the scenario is nested too deeply") from error


def _parsed(text: str) -> Scenario:
    try:
        document = read(text)
    except RepeatedKey as error:
        raise InvalidScenario(str(error)) from error
    except (ValueError, yaml.YAMLError) as error:
        raise InvalidScenario(f"the scenario is neither YAML nor JSON: {_unreadable(error)}") from error
    if not isinstance(document, dict):
        raise InvalidScenario("the scenario is not an object with members such as eventSourceMapping and records")
    try:
        pasted = without_answers(document)
    except NoRecords as error:
        raise InvalidScenario(str(error)) from error
    document = pasted.document
    for name in ("eventSourceMapping", "pipe"):
        if name in document:
            document[name] = _as_aws_takes(document[name])
    try:
        scenario = Scenario.model_validate(document)
    except ValidationError as error:
        # Report what AWS refuses at the same time, so that one look is enough.
        refused = [*refusals(document.get("eventSourceMapping"), document.get("pipe"))]
        raise InvalidScenario("\n".join([*map(_line, error.errors()), *refused])) from error
    found = [*refusals(scenario.event_source_mapping, scenario.pipe), *contradictions(scenario)]
    if found:
        raise InvalidScenario("\n".join(found))
    scenario.note_skipped(pasted.skipped)
    return scenario


def _as_aws_takes(value: Any) -> Any:
    """Return parameters as AWS takes them: members that are null are missing, and times are seconds since 1970."""
    if isinstance(value, dict):
        taken = {name: _as_aws_takes(content) for name, content in value.items() if content is not None}
        moment = taken.get("StartingPositionTimestamp")
        if isinstance(moment, str):
            with contextlib.suppress(ValueError):
                at = datetime.fromisoformat(moment)
                taken["StartingPositionTimestamp"] = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
        return taken
    return [_as_aws_takes(each) for each in value] if isinstance(value, list) else value


def _unreadable(error: Exception) -> str:
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    if mark is None or problem is None:
        return " ".join(str(error).split())
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}"


#: Our words where pydantic's name types of Python.
_PROBLEMS = {
    "dict_type": "is not an object with members",
    "model_type": "is not an object with members",
    "dataclass_type": "is not an object with members",
    "list_type": "is not a list",
    "string_pattern_mismatch": f"is not a sequence number, which has 1 to {MOST_DIGITS} digits",
    "datetime_type": "is not a time; write one like 2026-01-01T00:00:00Z",
}


def _line(error: ErrorDetails) -> str:
    *way, last = error["loc"]
    problem = _PROBLEMS.get(error["type"], error["msg"])
    if error["type"] == "extra_forbidden":
        problem = unknown_key(way, str(last))
    elif error["type"] == "string_type" and isinstance(error["input"], int):
        problem = "is a number, and a text is wanted: put it in quotes"
    return ".".join(map(str, (*way, last))) + f": {problem[0].lower()}{problem[1:]}"
