"""SQS: answers of batches, which ministack writes with empty lists that AWS leaves out."""

from __future__ import annotations

import json

from local.endpoint.api.aws_call import AwsCall
from local.endpoint.api.http_messages import Reply
from local.endpoint.routes import PassOn, Routes

_BATCHES = ("ChangeMessageVisibilityBatch", "DeleteMessageBatch", "SendMessageBatch")


def queue_routes() -> Routes:
    """Make the tables of SQS."""
    return Routes(amended={f"sqs:{operation}": _batch for operation in _BATCHES})


async def _batch(call: AwsCall, pass_on: PassOn) -> Reply:
    reply = await pass_on(call)
    if reply.status != 200 or call.protocol != "json":
        return reply
    answer = {name: entries for name, entries in json.loads(reply.body).items() if entries}
    return reply.with_body(json.dumps(answer).encode())
