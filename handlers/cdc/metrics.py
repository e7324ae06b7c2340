"""What a consumer counts, one line per invocation in CloudWatch's embedded metric format.

Lambda sends what a function prints to CloudWatch Logs, where such a line becomes metrics: no call, no permission and
well under a millisecond. Namespace `Weir`, dimension `FunctionName`.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from contextvars import ContextVar

NAMESPACE = "Weir"

_counts: ContextVar[Counter[str] | None] = ContextVar("weir_metrics", default=None)


def count(name: str, value: int = 1) -> None:
    """Add to a metric of the running invocation; does nothing outside one."""
    counts = _counts.get()
    if counts is not None:
        counts[name] += value


def start() -> None:
    """Begin the counts of an invocation."""
    _counts.set(Counter())


def emit() -> None:
    """Print what was counted since `start`, if anything was."""
    counts = _counts.get()
    _counts.set(None)
    if not counts:
        return
    document = {
        "_aws": {
            "Timestamp": int(time.time() * 1000),
            "CloudWatchMetrics": [
                {
                    "Namespace": NAMESPACE,
                    "Dimensions": [["FunctionName"]],
                    "Metrics": [{"Name": name, "Unit": "Count"} for name in counts],
                }
            ],
        },
        "FunctionName": os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "local"),
        **counts,
    }
    print(json.dumps(document, separators=(",", ":")), flush=True)  # noqa: T201 - standard output is the interface
