"""Says which streams have more readers than AWS serves, while the local stack runs."""

from __future__ import annotations

import threading

from rich.console import Console

from local.endpoint.control.client import Control

#: Seconds between two looks.
LOOK_SECONDS = 1.0


def tell_of_throttling(control: Control, progress: Console) -> None:
    """Say once of each shard that it refuses reads, until the endpoint has ended."""
    told: set[tuple[str, str]] = set()
    while True:
        threading.Event().wait(LOOK_SECONDS)
        try:
            throttled = control.throttling()
        except OSError:
            return
        for each in throttled:
            shard = each["streamArn"], each["shardId"]
            if shard not in told:
                told.add(shard)
                progress.print(f"Reads of {each['streamArn']} are throttled: {each['advice']}.", soft_wrap=True)
