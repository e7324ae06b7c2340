"""Records that a pipe logs of its executions (docs/aws-semantics.md §3.6).

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-pipes-logs.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

Level = Literal["ERROR", "INFO", "TRACE"]

#: Bytes of a record at most.
RECORD_BYTES = 256 * 1024

#: Log levels, from the fewest records to the most.
LEVELS: tuple[Literal["OFF"] | Level, ...] = ("OFF", "ERROR", "INFO", "TRACE")

_STAGES = ("ENRICHMENT", "TARGET")
#: The first level at which each step is logged.
LEVEL_OF: Mapping[str, Level] = {
    "EXECUTION_STARTED": "INFO",
    "EXECUTION_SUCCEEDED": "INFO",
    "EXECUTION_FAILED": "ERROR",
    "EXECUTION_PARTIALLY_FAILED": "ERROR",
    "EXECUTION_THROTTLED": "ERROR",
    "EXECUTION_TIMEOUT": "ERROR",
    **{f"{stage}_STAGE_ENTERED": "INFO" for stage in _STAGES},
    **{f"{stage}_STAGE_SUCCEEDED": "INFO" for stage in _STAGES},
    **{f"{stage}_STAGE_FAILED": "ERROR" for stage in _STAGES},
    **{f"{stage}_TRANSFORMATION_STARTED": "TRACE" for stage in _STAGES},
    **{f"{stage}_TRANSFORMATION_SUCCEEDED": "TRACE" for stage in _STAGES},
    **{f"{stage}_TRANSFORMATION_FAILED": "ERROR" for stage in _STAGES},
    **{f"{stage}_INVOCATION_STARTED": "TRACE" for stage in _STAGES},
    **{f"{stage}_INVOCATION_SUCCEEDED": "TRACE" for stage in _STAGES},
    **{f"{stage}_INVOCATION_FAILED": "ERROR" for stage in _STAGES},
    "TARGET_INVOCATION_PARTIALLY_FAILED": "ERROR",
    "TARGET_INVOCATION_SKIPPED": "TRACE",
    "TARGET_STAGE_PARTIALLY_FAILED": "ERROR",
    "TARGET_STAGE_SKIPPED": "TRACE",
}


def is_logged(step: str, level: str) -> bool:
    """Return whether a pipe with this level logs a step.

    >>> is_logged("EXECUTION_STARTED", "ERROR"), is_logged("EXECUTION_STARTED", "TRACE")
    (False, True)
    """
    return LEVELS.index(LEVEL_OF[step]) <= LEVELS.index(level)  # pyright: ignore[reportArgumentType] - any text


def record(
    step: str,
    *,
    data: Mapping[str, Any],
    error: Mapping[str, Any] | None,
    pipe_arn: str,
    execution_id: str,
    now: float,
) -> dict[str, Any]:
    """Make one record.

    Args:
        step: A key of `LEVEL_OF`.
        data: Execution data of the step: any of `payload`, `awsRequest` and `awsResponse`. Each becomes a text, and
            they are cut in this order until the record has 256 KB.
        error: The error of the step, if there was one.
        pipe_arn: The pipe's ARN.
        execution_id: The same for every step of an execution.
        now: Seconds since 1970.
    """
    made: dict[str, Any] = {
        "resourceArn": pipe_arn,
        "timestamp": round(now * 1000),
        "executionId": execution_id,
        "messageType": step,
        "logLevel": LEVEL_OF[step],
        **{name: value if isinstance(value, str) else _json(value) for name, value in data.items()},
    }
    if error is not None:
        made["error"] = dict(error)
    _truncate(made)
    return made


def _truncate(made: dict[str, Any]) -> None:
    truncated: list[str] = []
    for name in ("payload", "awsRequest", "awsResponse"):
        excess = len(_json(made | {"truncatedFields": truncated}).encode()) - RECORD_BYTES
        if excess <= 0:
            break
        if name in made:
            truncated.append(name)
            # The name in the list counts as well.
            made[name] = _cut(made[name], excess + len(name) + 3)
    if truncated:
        made["truncatedFields"] = truncated


def _cut(text: str, excess: int) -> str:
    """Cut at least so many bytes of its JSON form off a text."""
    limit = len(_json(text)) - excess
    while text and (over := len(_json(text)) - limit) > 0:
        # A character takes six bytes as an escape, and twelve when it needs two of them.
        text = text[: len(text) - max(1, over // 12)]
    return text


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
