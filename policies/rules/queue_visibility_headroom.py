"""`queue-visibility-headroom`: a message in work stays hidden."""

from __future__ import annotations

from collections.abc import Iterator

from policies.aws_types import MAPPING
from policies.graph import Stack
from policies.not_applicable import NotApplicable
from policies.queue_times import function_timeout, queue_of, visibility_timeout
from policies.resources import Resource, whole
from policies.rule import Config, StackRule, Violation
from policies.wording import named, setting

#: AWS's advice for queues that Lambda reads.
_TIMES = 6


def check(mapping: Resource, stack: Stack, _: Config) -> Iterator[Violation]:
    """Check that the queue of a mapping hides messages for six times the timeout, plus the batching window."""
    queue, timeout = queue_of(mapping, stack), function_timeout(mapping, stack)
    if timeout is None:
        raise NotApplicable(f"the function of {mapping.name} is not in this program")
    hidden = visibility_timeout(queue)
    window = mapping.props.number("maximumBatchingWindowInSeconds") or 0
    if hidden < timeout:
        raise NotApplicable(f"queue-visibility-timeout judges {queue.name}")
    wanted = _TIMES * timeout + window
    if hidden < wanted:
        waits = f" after up to {whole(window)} s in the batching window" if window else ""
        yield Violation(
            what=f"the queue hides a message for {whole(hidden)} s, and its function may run {whole(timeout)} s{waits}",
            lost="a message comes back while it is still in work: its effect happens twice at once, and its "
            "receive count runs up, so that healthy messages end in the dead letter queue under load",
            fix=f"set {setting('visibilityTimeoutSeconds', int(wanted))} or more: six times the function's timeout, "
            "plus the batching window",
            about=queue,
        )


RULE = StackRule(
    id="queue-visibility-headroom",
    level="advisory",
    severity="medium",
    title="A queue that a function reads should hide messages for six times its timeout",
    why="Lambda receives messages, fills a batch for as long as the batching window, waits for a free worker and "
    "retries throttled invocations, and only then is the function's timeout running: AWS advises six times that "
    "timeout plus the window (https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html).",
    remediation=f"Set {named('visibilityTimeoutSeconds')} to six times the function's timeout plus the mapping's "
    f"{named('maximumBatchingWindowInSeconds')}.",
    resources=(MAPPING,),
    check=check,
    good=(
        """
        jobs:
          type: aws:sqs:Queue
          properties: {visibilityTimeoutSeconds: 200}
        worker:
          type: aws:lambda:Function
          properties: {role: "arn:aws:iam::111122223333:role/worker", timeout: 30}
        worker-mapping:
          type: aws:lambda:EventSourceMapping
          properties:
            functionName: ${worker.arn}
            eventSourceArn: ${jobs.arn}
            maximumBatchingWindowInSeconds: 20
        """,
    ),
    bad=(
        """
        jobs:
          type: aws:sqs:Queue
          properties: {visibilityTimeoutSeconds: 180}
        worker:
          type: aws:lambda:Function
          properties: {role: "arn:aws:iam::111122223333:role/worker", timeout: 30}
        worker-mapping:
          type: aws:lambda:EventSourceMapping
          properties:
            functionName: ${worker.arn}
            eventSourceArn: ${jobs.arn}
            maximumBatchingWindowInSeconds: 20
        """,
    ),
)
