"""Sections of a scenario next to its records: the source, the function and its rules (docs/simulate.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, PlainValidator, field_validator
from pydantic_core import PydanticCustomError

from aws_semantics.limits import FUNCTION_TIMEOUT, STREAM_RETENTION_SECONDS
from local.engine.spelling import suggestion
from local.simulation.records import Strict, check_json

#: Parents of a shard at most: Kinesis merges two shards into one.
_MOST_PARENTS = 2
_WORDS = ("raise", "timeout", "throttle", "succeed")


def _parents(value: Any) -> tuple[str, ...]:
    given: list[Any] = value if isinstance(value, list) else [] if value is None else [value]
    if len(given) > _MOST_PARENTS or not all(isinstance(each, str) for each in given):
        raise PydanticCustomError("parents", "is not the id of a shard, or a list of two")
    return tuple(given)


class Shard(Strict):
    """Shard of the stream; it is not read before its parents are drained: two where shards were merged."""

    id: str = Field(min_length=1)
    parent: Annotated[tuple[str, ...], PlainValidator(_parents)] = ()


class Stream(Strict):
    """Stream that holds the records."""

    view_type: Literal["NEW_AND_OLD_IMAGES", "NEW_IMAGE", "OLD_IMAGE", "KEYS_ONLY"] = "NEW_AND_OLD_IMAGES"
    retention_seconds: int = Field(default=STREAM_RETENTION_SECONDS, ge=1)
    shards: list[Shard] = Field(default=[], min_length=1)


class Queue(Strict):
    """Queue that the messages are sent to."""

    visibility_timeout: int = Field(default=30, ge=1, le=43_200)
    max_receive_count: int | None = Field(default=None, ge=1, le=1_000)
    retention_seconds: int = Field(default=345_600, ge=60, le=1_209_600)


class When(Strict):
    """Condition on the invocations that a rule applies to; all members must hold."""

    contains: list[str] | None = None
    batch: list[str] | None = None
    between: list[float] | None = Field(default=None, min_length=2, max_length=2)

    @field_validator("between")
    @classmethod
    def _is_a_span(cls, between: list[float] | None) -> list[float] | None:
        if between is not None and between[0] > between[1]:
            raise PydanticCustomError("span", "ends before it begins, so that the rule would never apply")
        return between


@dataclass(frozen=True)
class ReturnValue:
    """Answer of a function that returns a value."""

    value: Any


@dataclass(frozen=True)
class ReportFailures:
    """Answer of a function that reports these records as failed."""

    identifiers: tuple[str, ...]


def _answer(value: Any) -> str | ReturnValue | ReportFailures:
    if isinstance(value, str) and value in _WORDS:
        return value
    if isinstance(value, dict) and list(value) == ["return"]:
        return ReturnValue(check_json(value["return"], "returns something that is not a JSON value"))
    if isinstance(value, dict) and list(value) == ["report"] and isinstance(value["report"], list):
        named: list[Any] = value["report"]
        if all(isinstance(each, str) for each in named):
            return ReportFailures(tuple(named))
    (word,) = value if isinstance(value, dict) and len(value) == 1 else (value,)
    raise PydanticCustomError(
        "answer",
        "is not one of raise, timeout, throttle, succeed, {return: a value} and {report: [identifiers]}{meant}",
        {"meant": suggestion(word, (*_WORDS, "return", "report")) if isinstance(word, str) else ""},
    )


class Rule(Strict):
    """Rule for some of the function's invocations."""

    when: When = When()
    times: int | None = Field(default=None, ge=1)
    then: Annotated[str | ReturnValue | ReportFailures, PlainValidator(_answer)] = "succeed"
    takes: float = Field(default=0, ge=0)


class Function(Strict):
    """Configuration of the function."""

    model_config = ConfigDict(alias_generator=None)

    Timeout: int = Field(default=3, ge=FUNCTION_TIMEOUT.minimum, le=FUNCTION_TIMEOUT.maximum)
    ReservedConcurrentExecutions: int | None = Field(default=None, ge=0)


class Destination(Strict):
    """On-failure destination."""

    fails: bool = False
