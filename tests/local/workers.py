"""Worker processes that race for the same work and die at a chosen place, for `test_effects_hold.py`.

Reads groups of tasks from standard input, starts every task of a group at once in a process of its own, waits for
them and goes on with the next group. Prints how each task ended.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import timedelta
from typing import Any

from handlers.cdc import EffectInProgress, EffectLedger, EffectUncertain
from handlers.cdc.bounded_client import TIMEOUTS
from handlers.cdc.clients import boto3_client
from handlers.cdc.counters import Counters

ENDINGS = {0: "done", 9: "killed", 3: "uncertain", 4: "in progress"}
LEASE = timedelta(seconds=1.5)

dynamodb = boto3_client("dynamodb", 1, TIMEOUTS[0])  # the client that the ledger and the counters use too


def die_at(step: int | None) -> None:
    """End the process, without any clean-up, before or after its n-th call: the steps are 1 before, 1 after, …"""
    steps = iter(range(10**9))

    def step_taken(**_: Any) -> None:
        if next(steps) == step:
            os._exit(9)

    for event in ("before-call.dynamodb", "after-call.dynamodb"):
        dynamodb.meta.events.register(event, step_taken)


def bring_about(key: str) -> None:
    """The effect: one more run is noted."""
    dynamodb.update_item(
        TableName=os.environ["EFFECTS_TABLE"],
        Key={"id": {"S": key}},
        UpdateExpression="ADD runs :one",
        ExpressionAttributeValues={":one": {"N": "1"}},
    )


def run(task: dict[str, Any]) -> int:
    die_at(task.get("die_at"))
    if task["do"] == "count":
        Counters("hits", shards=task.get("shards", 1)).add_all((key, {"total": 1}) for key in task["keys"])
        return 0
    ledger = EffectLedger(namespace="workers", mode=task["mode"], lease=LEASE)
    ending = 0
    for key in task["keys"]:
        try:
            ledger.once(key, bring_about, key)
        except EffectUncertain:
            ending = 3
        except EffectInProgress:
            return 4
    return ending


def main() -> None:
    assert dynamodb.meta.region_name  # made here, before the workers are: each would take a second for it
    for group in json.load(sys.stdin):
        workers: list[int] = []
        for task in group:
            worker = os.fork()
            if worker == 0:
                try:
                    os._exit(run(task))
                except BaseException as error:  # noqa: BLE001 - the exit code is all that the parent sees
                    print(f"{task}: {error!r}", file=sys.stderr, flush=True)  # noqa: T201 - a script
                    os._exit(1)
            workers.append(worker)
        codes = [os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]) for worker in workers]
        print(json.dumps([ENDINGS.get(code, "failed") for code in codes]), flush=True)  # noqa: T201 - a script


if __name__ == "__main__":
    main()
