"""AWS's list prices as data, and the cost of each route to a consumer computed from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

#: Region and month of the prices. They were written down from AWS's public pricing pages as remembered; `seen` says
#: which of them were met again since. Check each at its address before a decision depends on it.
REGION, AS_OF = "us-east-1", "2025-11"

HOURS = 730

#: Long polls of an empty queue in a month, at the five pollers that Lambda begins with and 20 seconds each. AWS says
#: that they are charged (https://repost.aws/knowledge-center/sqs-high-charges), not how many they are: deduced.
EMPTY_RECEIVES = 5 * 3 * 60 * HOURS


class Price(NamedTuple):
    """A list price.

    Attributes:
        dollars: US dollars for the unit.
        unit: The unit that it is charged for.
        source: Page that lists it.
        seen: Month in which a page of somebody else listed the same price for the region; empty if none was found.
    """

    dollars: float
    unit: str
    source: str
    seen: str = ""


PRICES: Mapping[str, Price] = {
    "lambda-request": Price(0.20, "million requests", "https://aws.amazon.com/lambda/pricing/", "2026-03"),
    "lambda-duration": Price(
        0.0000133334, "GB-second on Graviton", "https://aws.amazon.com/lambda/pricing/", "2026-03"
    ),
    "sns-fifo-publish": Price(0.30, "million published messages", "https://aws.amazon.com/sns/pricing/", "2026-06"),
    "sns-fifo-publish-gb": Price(0.017, "GB published", "https://aws.amazon.com/sns/pricing/"),
    "sns-fifo-delivery": Price(0.01, "million messages to a queue", "https://aws.amazon.com/sns/pricing/"),
    "sns-fifo-delivery-gb": Price(0.001, "GB to a queue", "https://aws.amazon.com/sns/pricing/"),
    "sqs-fifo": Price(0.50, "million requests of 64 KB", "https://aws.amazon.com/sqs/pricing/", "2026-06"),
    "pipes": Price(0.40, "million requests after the filter", "https://aws.amazon.com/eventbridge/pricing/", "2026-06"),
    "kinesis-hour": Price(0.04, "on-demand stream and hour", "https://aws.amazon.com/kinesis/data-streams/pricing/"),
    "kinesis-in": Price(0.08, "GB written", "https://aws.amazon.com/kinesis/data-streams/pricing/"),
    "kinesis-out": Price(0.04, "GB read by a shared reader", "https://aws.amazon.com/kinesis/data-streams/pricing/"),
    "kinesis-change": Price(0.10, "million change data capture units", "https://aws.amazon.com/dynamodb/pricing/"),
    "alarm": Price(0.10, "alarm and month", "https://aws.amazon.com/cloudwatch/pricing/"),
    "composite-alarm": Price(0.50, "composite alarm and month", "https://aws.amazon.com/cloudwatch/pricing/"),
    "dashboard": Price(3.00, "dashboard and month", "https://aws.amazon.com/cloudwatch/pricing/"),
    "secret": Price(0.40, "secret and month", "https://aws.amazon.com/secrets-manager/pricing/"),
}

#: Prices of resources that cost while nothing happens, by the end of the type token: price, and units in a month.
IDLE: Mapping[str, tuple[str, int]] = {
    "MetricAlarm": ("alarm", 1),
    "CompositeAlarm": ("composite-alarm", 1),
    "Dashboard": ("dashboard", 1),
    "Secret": ("secret", 1),
    "Stream": ("kinesis-hour", HOURS),
}


@dataclass(frozen=True)
class Load:
    """A load to compute costs for.

    Attributes:
        consumers: Consumers that each want every change.
        kilobytes: Size of a change with both images.
        batch: Changes in an invocation.
        seconds: Seconds that a change takes.
        gigabytes: Memory of a function.
    """

    consumers: int = 3
    kilobytes: float = 2
    batch: int = 10
    seconds: float = 0.05
    gigabytes: float = 0.25


def per_million(route: str, load: Load) -> float:
    """Compute the dollars of a million changes, without the write to the table and without what consumers call.

    Args:
        route: `direct`, `fan-out`, `pipe` or `kinesis`.
        load: The load.

    Raises:
        KeyError: The route is not one of these.

    Example:
        >>> round(per_million("direct", Load(consumers=1)), 2)
        0.19
    """
    price = {name: each.dollars for name, each in PRICES.items()}
    gigabytes = load.kilobytes  # of a million changes
    run = price["lambda-request"] / load.batch + 1e6 * load.seconds * load.gigabytes * price["lambda-duration"]
    every = load.consumers * run
    forwarder = price["lambda-request"] / 100 + 1e6 * 0.002 * load.gigabytes * price["lambda-duration"]
    # A message is sent by SNS without a charge of SQS, received and deleted in batches of ten.
    queue = 2 * price["sqs-fifo"] / 10
    return {
        # Reading a stream is free for Lambda.
        "direct": every,
        "fan-out": every
        + forwarder
        + price["sns-fifo-publish"]
        + gigabytes * price["sns-fifo-publish-gb"]
        + load.consumers * (price["sns-fifo-delivery"] + gigabytes * price["sns-fifo-delivery-gb"] + queue),
        "pipe": load.consumers * price["pipes"],
        "kinesis": every
        + price["kinesis-change"] * -(-load.kilobytes // 2)
        + gigabytes * (price["kinesis-in"] + load.consumers * price["kinesis-out"]),
    }[route]


def idle_per_month(resources: Mapping[str, int]) -> float:
    """Sum what resources cost in a month without a change.

    Args:
        resources: Number of resources by Pulumi type token.

    Example:
        >>> idle_per_month({"aws:cloudwatch/metricAlarm:MetricAlarm": 3, "aws:sqs/queue:Queue": 2})
        0.3
    """
    total = 0.0
    for token, number in resources.items():
        if price := idle_price(token):
            total += number * IDLE[token.rpartition(":")[2]][1] * price.dollars
    return round(total, 2)


def idle_price(token: str) -> Price | None:
    """Return the price of a resource while nothing happens, by its Pulumi type token; `None` if it costs nothing."""
    kind = token.rpartition(":")[2]
    idle = kind in IDLE and (kind != "Stream" or ":kinesis/" in token)
    return PRICES[IDLE[kind][0]] if idle else None
