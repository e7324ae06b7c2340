"""Writes docs/guides/which-way.md: the routes from a change to a consumer side by side, with costs.

`python -m tools.which_way` writes the page; `make docs` does the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tools import written_files
from tools.list_prices import AS_OF, EMPTY_RECEIVES, HOURS, PRICES, REGION, Load, per_million

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "guides" / "which-way.md"

ROUTES = ("direct", "fan-out", "pipe", "kinesis")
TITLES = ("`Stream` (direct)", "`FanOut`", "`StreamPipe`", "`KinesisChanges`")

#: A property of each route, in the order of `ROUTES`.
PROPERTIES: Mapping[str, tuple[str, str, str, str]] = {
    "consumers": (
        "2 readers of a stream, 1 on a global table",
        "100, behind one reader",
        "a pipe is one of the 2 readers; behind a fan-out 100",
        "5 shared readers, 20 with enhanced fan-out",
    ),
    "order": (
        "per item, also after a retry",
        "first deliveries per item; a repeat may come late",
        "per item for FIFO targets, else none",
        "none promised: DynamoDB may write out of order and twice",
    ),
    "duplicates": (
        "repeats after a failed batch",
        "the same, and a publish that is repeated",
        "repeats after a failed batch",
        "the same, and records that DynamoDB writes twice",
    ),
    "replay": (
        "24 h, by a new mapping",
        "1 to 365 days from the topic's archive",
        "24 h, by a new pipe",
        "24 h to 365 days, from a time",
    ),
    "latency": (
        "polled 4 times a second, plus the batch window",
        "the same, plus topic and queue",
        "as direct",
        "as direct, or about 70 ms with enhanced fan-out",
    ),
    "a slow consumer": (
        "holds up its own shard only",
        "holds up its own queue only",
        "holds up its own shard only",
        "holds up its own shard; shared readers share 2 MB/s",
    ),
    "code": (
        "a function",
        "a function, or a pipe's target",
        "none, unless it is enriched",
        "a function",
    ),
    "take it for": (
        "one or two consumers",
        "three or more, or one that may be down for days",
        "a service without code: bus, workflow, queue",
        "history beyond 24 h, analytics, many readers that need no order",
    ),
}


def page() -> str:
    """Write the page."""
    load = Load()
    rows = [("", *TITLES), ("---",) * 5]
    rows += [(name, *each) for name, each in PROPERTIES.items()]
    for consumers in (1, 3, 10):
        costs = [f"${per_million(route, Load(consumers=consumers)):.2f}" for route in ROUTES]
        if consumers > 2:
            costs[0] = costs[2] = "not possible"
        rows.append((f"a million changes, {consumers} consumer{'s' * (consumers > 1)}", *costs))
    stream = PRICES["kinesis-hour"].dollars * HOURS
    alarms = PRICES["alarm"].dollars
    rows.append(
        (
            "idle, a month",
            f"alarms: 5 a consumer, ${5 * alarms:.2f}",
            f"alarms: 6 a consumer, ${6 * alarms:.2f}; 7 of forwarder and topic, ${7 * alarms:.2f}",
            f"alarms: 4 a pipe, ${4 * alarms:.2f}",
            f"the stream, ${stream:.2f}, and alarms",
        )
    )
    prices = [("for", "dollars", "listed at", "met again"), ("---",) * 4]
    prices += [(each.unit, f"{each.dollars:g}", each.source, each.seen) for each in PRICES.values()]
    polling = EMPTY_RECEIVES / 1e6 * PRICES["sqs-fifo"].dollars
    return f"""# Which way?

Written by `make docs` from `tools/which_way.py` and `tools/list_prices.py`.

A consumer's module and its statement are the same on every way: `changes.subscribe(handler, access=[…])`. So begin with
the fan-out, which the program has, and change `changes` when a row below says so.

{_table(rows)}

One consumer that reads the stream itself ([with a fan-out](fan-out.md)):

![The program without a fan-out: its one consumer, failure paths and alarms](../pictures/direct.svg)

The costs are those of the way itself: reading, carrying and running a function of {load.gigabytes * 1024:.0f} MB for
{load.seconds * 1000:.0f} ms per change in batches of {load.batch}, with changes of {load.kilobytes:g} KB and every
consumer wanting each. Calls of the consumer, logs and the table are on top. Filters lower them on every way, except
that a fan-out's queues receive what their mappings then filter out.

Lambda asks a queue all the time, and SQS charges the answers that hold nothing. While nothing happens that is
{EMPTY_RECEIVES / 1e6:.2f} million requests a month, ${polling:.2f}, for each consumer of a fan-out, if it has the five
pollers that it begins with (deduced: AWS says that they are charged and not how many they are; the metric
`NumberOfEmptyReceives` shows yours).

## List prices

Of {REGION}, as of {AS_OF}. They were written down from AWS's pricing pages as remembered. The last column has the month
in which a page of somebody else listed the same price; where it is empty, none was found. Check each at its address
before a decision depends on it, then correct `tools/list_prices.py` and run `make docs`.

{_table(prices)}

## More

- [Any number of consumers](fan-out.md), [history in Kinesis](kinesis.md), [limits](limits.md)
- [The components](../components/README.md), each with its arguments, permissions and alarms
"""


def _table(rows: list[tuple[str, ...]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    written_files.write({PAGE: page()}, [PAGE] if PAGE.exists() else [])
