"""Time to live: the attribute with an item's expiry time, and the deletions that follow from it.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/howitworks-ttl.html
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local.endpoint.api.aws_call import AwsCall
from local.endpoint.api.errors import AwsError
from local.endpoint.api.http_messages import Reply
from local.endpoint.clients import EXPIRED_HEADER, deleting_expired
from local.endpoint.routes import PassOn, Routes
from local.engine.clock import Clock

logger = logging.getLogger(__name__)

#: Seconds between two looks for expired items, where AWS takes up to a few days.
SWEEP_SECONDS = 10.0

#: AWS does not delete items that expired more than five years ago.
OLDEST_SECONDS = 5 * 365 * 24 * 60 * 60

_EXPIRED = "attribute_type(#ttl, :number) AND #ttl < :now AND #ttl > :oldest"


class TimeToLive:
    """The settings of all tables, and the thread that deletes what has expired.

    Args:
        tables: A boto3 client of DynamoDB.
        clock: The clock that items expire by.
    """

    def __init__(self, tables: Any, clock: Clock) -> None:
        self._tables = tables
        self._clock = clock
        self._attributes: dict[str, str] = {}
        self._wake = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="time-to-live", daemon=True)

    def start(self) -> None:
        """Begin to delete what has expired."""
        self._thread.start()

    def close(self) -> None:
        """Stop deleting."""
        self._closed = True
        self._wake.set()

    def wake(self) -> None:
        """Look for expired items now: time has passed."""
        self._wake.set()

    @property
    def routes(self) -> Routes:
        """The operations, and the deletion of an expired item."""
        return Routes(
            answered={
                "dynamodb:DescribeTimeToLive": self.describe_time_to_live,
                "dynamodb:UpdateTimeToLive": self.update_time_to_live,
            },
            amended={"dynamodb:DeleteItem": _delete},
        )

    def update_time_to_live(self, parameters: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Answer UpdateTimeToLive."""
        table, asked = self._existing(parameters["TableName"]), parameters["TimeToLiveSpecification"]
        current = self._attributes.get(table)
        if asked["Enabled"] == (current is not None):
            state = "enabled" if current else "disabled"
            raise AwsError("ValidationException", f"TimeToLive is already {state}")
        if asked["Enabled"]:
            self._attributes[table] = asked["AttributeName"]
            self._wake.set()
        elif asked["AttributeName"] != current:
            raise AwsError("ValidationException", f"TimeToLive is active on a different AttributeName: {current}")
        else:
            del self._attributes[table]
        return 200, {"TimeToLiveSpecification": dict(asked)}

    def describe_time_to_live(self, parameters: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Answer DescribeTimeToLive."""
        attribute = self._attributes.get(self._existing(parameters["TableName"]))
        described = {"TimeToLiveStatus": "DISABLED"}
        if attribute is not None:
            described = {"TimeToLiveStatus": "ENABLED", "AttributeName": attribute}
        return 200, {"TimeToLiveDescription": described}

    def _existing(self, name: str) -> str:
        try:
            return self._tables.describe_table(TableName=name)["Table"]["TableName"]
        except ClientError as missing:
            raise AwsError(
                "ResourceNotFoundException", f"Requested resource not found: Table: {name} not found"
            ) from missing

    def _run(self) -> None:
        while not self._closed:
            self._wake.wait(SWEEP_SECONDS if self._attributes else None)
            self._wake.clear()
            for table, attribute in list(self._attributes.items()):
                try:
                    self._sweep(table, attribute)
                except (ClientError, BotoCoreError):
                    if not self._closed:
                        logger.exception("the expired items of %s could not be deleted", table)

    def _sweep(self, table: str, attribute: str) -> None:
        now = int(self._clock.now())
        condition = {
            "ExpressionAttributeNames": {"#ttl": attribute},
            "ExpressionAttributeValues": {
                ":number": {"S": "N"},
                ":now": {"N": str(now)},
                ":oldest": {"N": str(now - OLDEST_SECONDS)},
            },
        }
        keys = [each["AttributeName"] for each in self._tables.describe_table(TableName=table)["Table"]["KeySchema"]]
        pages = self._tables.get_paginator("scan").paginate(TableName=table, FilterExpression=_EXPIRED, **condition)
        for item in [item for page in pages for item in page["Items"]]:
            key = {name: item[name] for name in keys}
            with deleting_expired():
                try:
                    # It may have been given more time since it was read.
                    self._tables.delete_item(TableName=table, Key=key, ConditionExpression=_EXPIRED, **condition)
                except self._tables.exceptions.ConditionalCheckFailedException:
                    continue


async def _delete(call: AwsCall, pass_on: PassOn) -> Reply:
    """Delete an item as DynamoDB's own deletion if the request says so."""
    if EXPIRED_HEADER not in call.request.headers:
        return await pass_on(call)
    with deleting_expired():
        return await pass_on(call)
