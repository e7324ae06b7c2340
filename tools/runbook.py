"""Writes docs/runbook: a page for each alarm, with its meaning, the commands to type, and the end of the trouble.

`python -m tools.runbook` writes the pages; `make docs` does the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from components.alarms import (
    PARTNER_ALARMS,
    PIPE_ALARMS,
    POLLING,
    QUEUE_ALARMS,
    QUEUE_SOURCE_ALARMS,
    REPLICATION_ALARMS,
    STREAM_ALARMS,
    TIME_OUT_ALARMS,
    TOPIC_ALARMS,
    WAITING,
    WORKFLOW_ALARMS,
    AlarmOpinion,
)
from components.reconciliation import RECONCILIATION_ALARMS
from tools import written_files

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "runbook"

#: The consumer and the stack of the commands on the pages.
CONSUMER, STACK = "welcome-email", "prod"


@dataclass(frozen=True)
class Steps:
    """The part of a page that is not in the alarm itself.

    Attributes:
        lost: What is lost, and when.
        commands: Commands to type, each with its purpose.
        over: The end of the trouble.
    """

    lost: str
    commands: Mapping[str, str]
    over: str


_BEHIND = Steps(
    lost="Nothing yet. Records older than the mapping's record age are given up; a stream forgets after 24 hours, a "
    "queue after 14 days.",
    commands={
        "weir status {consumer}": "How far behind, now and an hour ago; failures, retries, and other readers",
        "weir tail {consumer} --no-follow --level WARNING": "The exception, if a record fails again and again",
        "weir dead-letters list {consumer}": "Records that were given up meanwhile",
    },
    over="If a record fails, fix the cause and deploy: the retries do the rest. If there is only load, raise the "
    "parallelization factor of a stream's mapping, or the maximum concurrency of a queue's. The alarm ends by itself "
    "when the consumer has caught up.",
)
_GIVEN_UP = Steps(
    lost="Nothing, until the deadline that `list` shows: a document in S3 is kept for a year, one that only points at "
    "the stream is worthless after 24 hours.",
    commands={
        "weir dead-letters list {consumer}": "When, why, the items' keys, and the deadline",
        "weir tail {consumer} --no-follow --since 1h --level ERROR": "The exceptions",
        "weir dead-letters redrive {consumer}": "A dry run, after the cause is fixed and deployed",
        "weir dead-letters redrive {consumer} --yes": "The redrive, through the effect ledger",
        "weir status {consumer}": "None waits any more",
    },
    over="The alarm ends by itself in the next period without new dead letters. A record that can never succeed is let "
    "go with `weir dead-letters drop`, with a reason.",
)
_LOST = Steps(
    lost="The records have been given up and are in no destination. The stream still has them for 24 hours after they "
    "were written.",
    commands={
        "weir status {consumer}": "Since when, and the state of the mapping",
        "weir tail {consumer} --no-follow --since 1h --level WARNING": "The exceptions",
        "weir reread {consumer} --from 2h": "A dry run over the range, once the cause is fixed",
        "weir reread {consumer} --from 2h --yes": "The range again, through the effect ledger",
    },
    over="Check that the failure destination exists and that the function's role may write to it. `weir reread` says "
    "if the range begins before the stream's oldest record; compare the consumer's target with the table for it.",
)
_NOT_POLLING = Steps(
    lost="Nothing yet: the changes wait, in a stream for 24 hours (Kinesis: its retention), in a queue for 14 days.",
    commands={
        "weir status {consumer}": "Whether the mapping is disabled, and since when",
        "weir resume {consumer}": "If somebody has paused it",
    },
    over="If it is enabled, look at its state transition reason: `aws lambda get-event-source-mapping --uuid …`. The "
    "role may have lost the permission to read. The alarm ends with the next poll.",
)
_TOPIC = Steps(
    lost="Changes that reached neither a consumer's queue nor its dead-letter queue are lost for that consumer; the "
    "table's stream still has them for 24 hours.",
    commands={
        "weir status": "The consumers that are behind, or have dead letters",
        "weir dead-letters list": "The changes that the topic could not deliver",
        "weir dead-letters redrive {consumer} --yes": "Those of one consumer, back to its queue",
    },
    over="Let the queue's policy allow the topic, and the key of an encrypted queue allow `sns.amazonaws.com`. For "
    "changes that are in no queue, `weir reread` takes the range from the table's stream.",
)
_WORKFLOW = Steps(
    lost="No change: the consumer has started the execution, and Step Functions keeps its history for 90 days. What "
    "its steps have reserved may not be taken back.",
    commands={
        "weir status": "Whether the consumer that starts it is behind as well",
        "weir dead-letters list": "Changes whose execution could not be started",
    },
    over="Read the failed execution's history (`aws stepfunctions list-executions --status-filter FAILED`, then "
    "`get-execution-history`), fix the cause, and redrive it within 14 days: it goes on at the state that failed. "
    "Guide: docs/guides/workflows.md.",
)

_PARTNER = Steps(
    lost="Nothing for 14 days, as long as the queue keeps the events; the bus's archive keeps them for its own days.",
    commands={"weir status": "Whether the pipe that fills the bus, and the other consumers, are well"},
    over="Read ERROR_CODE and ERROR_MESSAGE of the messages in the queue. Once the partner takes events again, put "
    "them on the bus again (`aws events start-replay`, docs/guides/webhooks.md); the other partners know them by their "
    "event id. Then purge the queue.",
)
_PIPE = Steps(
    lost="Nothing yet: the pipe tries again, in a stream until the record age and at most for the stream's retention, "
    "in a fan-out's queue until the messages go to its dead-letter queue.",
    commands={
        "weir status {consumer}": "The pipe's state, its dead letters and its alarms",
        "weir tail {consumer} --no-follow --since 1h --level ERROR": "The errors of enrichment and target",
        "weir dead-letters list {consumer}": "Changes that were given up meanwhile",
        "weir dead-letters redrive {consumer} --yes": "Those changes again, once the cause is fixed",
    },
    over="Mend the target, the enrichment or the pipe's role; throttled: ask for a higher quota of concurrent "
    "executions. The alarm ends by itself when executions succeed.",
)
_REPLICATION = Steps(
    lost="Nothing while DynamoDB still tries, for 168 hours; then it switches the replication off by itself, and what "
    "is written until it is on again never reaches the Kinesis stream. Skipped changes (`replication-failed`) are lost "
    "at once for every consumer of the stream.",
    commands={
        "weir status": "The consumers that read the stream, and how far behind they are",
        "weir status {consumer}": "One of them, to see since when changes are missing",
    },
    over="Look at `aws dynamodb describe-kinesis-streaming-destination --table-name …`. Throttled: raise `shards`, or "
    "leave it out for a stream on demand. Denied: restore the stream's resource policy, or the key's for DynamoDB. "
    "Skipped: raise `record_size_kib`, or make the items smaller. If the replication was off, copy what was written "
    "meanwhile from the table: every consumer of the stream lacks it.",
)

_WALK_FAILED = Steps(
    lost="Nothing. What is missing stays missing until a walk gets through.",
    commands={
        "weir reconcile": "Another walk, which prints the cause if it fails too",
        "weir status": "The consumers whose queues the walk sends to",
    },
    over="The execution's history in Step Functions names the segment and the error. A walk begins anew each time, so "
    "nothing is to be cleaned up; the alarm ends by itself.",
)
_NOT_STARTED = Steps(
    lost="Nothing yet, and nobody looks: what an outage takes from a consumer stays missing until a walk finds it.",
    commands={"weir reconcile": "A walk that is started by hand, and what is missing now"},
    over="ERROR_CODE and ERROR_MESSAGE of the messages in the queue name the error, usually the schedule's role, which "
    "may start the state machine no more. Run  pulumi up  where somebody has changed it, then purge the queue.",
)
_MISSING = Steps(
    lost="A consumer lost changes: they outlasted the stream, or were dropped. A scheduled walk has sent what is "
    "missing to the consumers already.",
    commands={
        "weir reconcile": "What is missing now, by consumer",
        "weir reconcile --yes": "The same, brought about by the consumers' own functions",
        "weir dead-letters list {consumer}": "Effects that are uncertain, and items that a consumer gave up",
    },
    over="The next walk finds nothing. The report in S3 names each effect and row; look for the outage that lost them, "
    "since a reconciliation brings back what items imply now and not what happened between.",
)

_TIME_OUT = Steps(
    lost="The effect of a time-out, unless it is repeated: nothing calls the function again. The queue keeps its key "
    "for 14 days.",
    commands={"weir status": "Whether the consumers that bring the parts are well"},
    over="ERROR_MESSAGE of the messages, or the function's log, names the error. Once it is fixed, invoke the function "
    "with the body of each message (`aws lambda invoke`): nothing happens for a wait that has ended. The body of a "
    "call that EventBridge Scheduler gave up is the call, and its `Payload` is what to invoke with. Then purge the "
    "queue.",
)

#: The steps of each alarm, by its name.
STEPS: Mapping[str, Steps] = {
    **dict.fromkeys(
        ("iterator-age-warn", "iterator-age-page", "queue-age-warn", "queue-age-page", "throttles"), _BEHIND
    ),
    **dict.fromkeys(("dead-letters", "waiting", "dead-letter-queue", "undelivered"), _GIVEN_UP),
    **dict.fromkeys(("dropped", "destination-failures"), _LOST),
    "not-polling": _NOT_POLLING,
    **dict.fromkeys(("notifications-failed", "notifications-lost"), _TOPIC),
    **dict.fromkeys(
        ("replication-age-warn", "replication-age-page", "replication-throttled", "replication-failed"), _REPLICATION
    ),
    **dict.fromkeys((opinion.name for opinion in PIPE_ALARMS), _PIPE),
    **dict.fromkeys(("executions-failed", "executions-timed-out"), _WORKFLOW),
    "walk-failed": _WALK_FAILED,
    "effects-missing": _MISSING,
    "walk-not-started": _NOT_STARTED,
    "webhooks-undelivered": _PARTNER,
    "time-outs-failed": _TIME_OUT,
}


def alarms() -> Mapping[str, list[AlarmOpinion]]:
    """Return the alarms by name; those of streams and of queues may share one."""
    found: dict[str, list[AlarmOpinion]] = {}
    standing = (
        *STREAM_ALARMS,
        *QUEUE_ALARMS,
        *TOPIC_ALARMS,
        *REPLICATION_ALARMS,
        *WORKFLOW_ALARMS,
        *PARTNER_ALARMS,
        *TIME_OUT_ALARMS,
        *PIPE_ALARMS,
        *QUEUE_SOURCE_ALARMS,
        *RECONCILIATION_ALARMS,
    )
    for opinion in (*standing, POLLING, WAITING):
        found.setdefault(opinion.name, []).append(opinion)
    return found


def pages() -> Mapping[Path, str]:
    """Return the wanted content of each page."""
    return {
        FOLDER / "README.md": _index(),
        **{FOLDER / f"{name}.md": _page(name, opinions) for name, opinions in alarms().items()},
    }


def commands(name: str) -> Iterable[str]:
    """Return the commands on an alarm's page, as they are to be typed."""
    return [f"{command.format(consumer=CONSUMER)} -s {STACK}" for command in STEPS[name].commands]


def _page(name: str, opinions: list[AlarmOpinion]) -> str:
    steps = STEPS[name]
    typed = "\n".join(
        f"# {purpose}\n{command}" for command, purpose in zip(commands(name), steps.commands.values(), strict=True)
    )
    return "\n".join(
        [
            f"# Alarm {name}\n",
            *dict.fromkeys(f"{opinion.description}\n" for opinion in opinions),
            "| metric | statistic | threshold | periods | notifies |",
            "|---|---|---|---|---|",
            *dict.fromkeys(_row(opinion) for opinion in opinions),
            f"\n## What is lost\n\n{steps.lost}\n",
            f"## Type\n\nWith the consumer and the stack that the alarm names:\n\n```sh\n{typed}\n```\n",
            f"## When it is over\n\n{steps.over}\n",
            "[All alarms](README.md) · [the operator's commands](../guides/operator.md)\n",
        ]
    )


def _row(opinion: AlarmOpinion) -> str:
    below = "" if opinion.comparison.startswith("Greater") else "below "
    periods = f"{opinion.evaluation_periods} of {opinion.period} s"
    who = "page actions" if opinion.urgent else "alarm actions"
    cells = (opinion.statistic, f"{below}{opinion.threshold}", periods, who)
    return f"| `{opinion.namespace}` {opinion.metric} | {' | '.join(cells)} |"


def _index() -> str:
    lines = [
        "# Runbook\n",
        "A page for each alarm, whose description names the consumer, the first command to type and the page.\n",
        "| alarm | meaning |",
        "|---|---|",
        *(f"| [{name}]({name}.md) | {opinions[0].description} |" for name, opinions in alarms().items()),
    ]
    return "\n".join(lines) + "\n"


def stale() -> list[Path]:
    """List the pages that do not say what the alarms say, and those of alarms that are gone."""
    return written_files.stale(pages(), FOLDER.glob("*.md"))


if __name__ == "__main__":
    written_files.write(pages(), FOLDER.glob("*.md"))
