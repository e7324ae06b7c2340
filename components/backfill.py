"""`Backfill`: gives consumers the content of a table, or of exports of it, that was there before them."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import pulumi

from components.access import Access
from components.alarms import AlarmOpinion
from components.change_table import ChangeTable
from components.fan_out import FanOut
from components.function_settings import FunctionSettings
from components.queue_consumer import QueueConsumer
from components.reconciliation import RECONCILIATION_ALARMS
from components.refusal import Refused
from components.repeats import effects_beside_projections, found_harmless, guarded_by_sequence
from components.table_walk import TableWalk
from handlers.cdc import EffectLedger
from handlers.cdc.counters import Counters

#: The alarm of a walk that fails; a backfill finds much that is missing.
BACKFILL_ALARMS = tuple(each for each in RECONCILIATION_ALARMS if each.name == "walk-failed")


class Backfill(TableWalk):
    """A walk over a table, started by hand, that gives its items to consumers that are new.

    The consumers are subscribed first and get every change from then on; the walk reads the table afterwards. So there
    is no gap, and a change that comes by both ways is one: projections keep the newer version, and the ledger marks the
    effects of the past as done without running them.

    With `exports`, `weir backfill --export ARN` reads exports of the table from S3 in the table's place. A full export
    has its items; incremental ones have what changed within a window, deletes too, for projections alone. Guide:
    docs/guides/backfill.md; the reasons: docs/decisions/0036-a-backfill-marks-effects.md and
    docs/decisions/0082-exports-are-read-by-the-backfill.md.

    Args:
        table: The table.
        fan_out: The fan-out that the consumers are subscribed to.
        consumers: Names of the consumers.
        exports: ARN of the bucket that exports of the table are read from, with a prefix or without:
            `arn:aws:s3:::exports/users`; `None` for none.
        access: Permissions beyond those to look up what the consumers' own accesses write, e.g. a key to decrypt.
        segments: Parts that the table is read in, 1 to 1,000.
        concurrency: Segments that are read at once, at least 1.
        items_per_second: Items read per second, over all segments: a read unit for each 4 KB of each.
        function: How the function runs that reads a segment; its timeout is the longest part of a walk.
        alarms: The alarms, `BACKFILL_ALARMS` by default.
        alarm_actions: ARNs that alarms notify, usually of SNS topics.

    Attributes:
        state_machine: The `aws.sfn.StateMachine`; `weir backfill` starts it.
        function: The `aws.lambda_.Function` that reads a segment.
        role: The function's role, which may only read, report, and send to the queues.
        reports: The `aws.s3.Bucket` of reports.

    Raises:
        Refused: A number is out of range, there is no such consumer, or one could not take the past: it counts
            changes, takes whole batches of effects, is guarded by sequence numbers, or has nothing that makes a repeat
            harmless. Whether a consumer can take an incremental export is decided when one is named.

    Example:
        fan_out.subscribe(welcome_email.handler, access=[ledger.access(), mail.send_access()])
        Backfill("backfill", table=users, fan_out=fan_out, consumers=["welcome-email"])
    """

    def __init__(
        self,
        name: str,
        *,
        table: ChangeTable,
        fan_out: FanOut,
        consumers: Sequence[str],
        exports: pulumi.Input[str] | None = None,
        access: Sequence[Access] = (),
        segments: int = 16,
        concurrency: int = 4,
        items_per_second: int = 500,
        function: FunctionSettings | None = None,
        alarms: Sequence[AlarmOpinion] = BACKFILL_ALARMS,
        alarm_actions: Sequence[pulumi.Input[str]] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        unknown = [each for each in consumers if each not in fan_out.consumers]
        if unknown or not consumers:
            raise Refused(
                f"{name}: consumers={list(consumers)} names {', '.join(unknown) or 'none'}, and the fan-out has "
                f"{', '.join(fan_out.consumers) or 'none'}: name some of these, after the subscribe statements"
            )
        for each in consumers:
            _check_takes_the_past(name, each, fan_out.consumers[each])
        super().__init__(
            "weir:index:Backfill",
            name,
            purpose="backfill",
            table=table,
            fan_out=fan_out,
            consumers={each: fan_out.consumers[each] for each in consumers},
            exports=exports,
            not_from_windows={each: _lost_in_windows(fan_out.consumers[each]) for each in consumers},
            access=access,
            segments=segments,
            concurrency=concurrency,
            items_per_second=items_per_second,
            settle_seconds=0,
            function=function,
            alarms=alarms,
            alarm_actions=alarm_actions,
            opts=opts,
        )


def _check_takes_the_past(name: str, consumer: str, made: QueueConsumer) -> None:
    found = vars(sys.modules[made.consumer.module]).values()
    if any(isinstance(value, Counters) for value in found):
        raise Refused(
            f"{name}: {consumer} counts changes, and a table has items: an item that changes during the walk would be "
            "counted by both; recount them instead (docs/guides/counters.md)"
        )
    if made.consumer.takes_whole_batches and any(isinstance(value, EffectLedger) for value in found):
        raise Refused(
            f"{name}: {consumer} takes whole batches, so nothing tells which of a batch's effects are of the past: "
            "give it one change at a time"
        )
    if guarded_by_sequence(made.consumer):
        raise Refused(
            f"{name}: a projection of {made.consumer.module} is guarded by sequence numbers, which a table's items "
            'do not have: guard it by the item\'s version, guard_by="version"'
        )
    if found_harmless(made.consumer) is None:
        raise Refused(
            f"{name}: {consumer} has neither an effect ledger nor a projection, so its effects of the past would all "
            "happen now: run them through effects.once(…), or write with a projection"
        )


def _lost_in_windows(made: QueueConsumer) -> str | None:
    """Return why a consumer cannot be fed from incremental exports; `None` if it can."""
    effects = effects_beside_projections(made.consumer)
    if effects is not None:
        return f"is not a projection alone ({effects})"
    if made.consumer.has_several_functions:
        return "chooses among its functions by conditions, which cannot be asked about what lay in between"
    return None
