"""The consumer's metrics: one line per invocation in CloudWatch's embedded metric format.

Lambda sends the function's standard output to CloudWatch Logs, where such a line becomes metrics: no call, no
permission and well under a millisecond. Namespace `Weir`, dimension `FunctionName`. CloudWatch charges for each metric
of each function (docs/guides/alarms.md), so that all but those with an alarm can be switched off.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping

from handlers.cdc.invocation import current

NAMESPACE = "Weir"
#: The variable with which a function records nothing but what an alarm watches.
VARIABLE = "WEIR_METRICS"
ALARMED_ONLY = "alarms"
_ALARMED = frozenset({"Discarded", "Missing"})


def count(name: str, value: int = 1) -> None:
    """Add to a metric of the running invocation, from any of its threads; does nothing outside one."""
    invocation = current()
    if invocation is not None and value:
        with invocation.lock:
            invocation.counts[name] += value


def emit(counts: Mapping[str, int]) -> None:
    """Print the metrics of an invocation that has counted anything."""
    if os.environ.get(VARIABLE) == ALARMED_ONLY:
        counts = {name: value for name, value in counts.items() if name in _ALARMED}
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
