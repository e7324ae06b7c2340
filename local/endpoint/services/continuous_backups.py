"""Point-in-time recovery: the settings of all tables, and the writes that an export of the past is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from botocore.exceptions import ClientError

from local.endpoint.api.aws_call import AwsCall
from local.endpoint.api.errors import AwsError
from local.endpoint.routes import Routes
from local.engine.clock import Clock
from local.engine.tables.history import Item, ItemWrite

#: Days that a table can be recovered from, by default, and the only ones here.
RECOVERY_DAYS: Final = 35


@dataclass(frozen=True)
class Recovery:
    """The recovery of one table.

    Attributes:
        since: When it was switched on, in seconds since 1970.
        writes: The writes since then, in their order.
    """

    since: float
    writes: list[ItemWrite] = field(default_factory=list[ItemWrite])

    def earliest(self, now: float) -> float:
        """Return the earliest time that is known, in seconds since 1970."""
        return max(self.since, now - RECOVERY_DAYS * 24 * 60 * 60)


class ContinuousBackups:
    """The recovery of all tables.

    Args:
        tables: A boto3 client of DynamoDB.
        clock: The clock that writes are dated by.
    """

    def __init__(self, tables: Any, clock: Clock) -> None:
        self._tables = tables
        self._clock = clock
        self._recoveries: dict[str, Recovery] = {}

    @property
    def routes(self) -> Routes:
        """The operations, and the end of a table."""
        return Routes(
            answered={
                "dynamodb:DescribeContinuousBackups": self.describe_continuous_backups,
                "dynamodb:UpdateContinuousBackups": self.update_continuous_backups,
            },
            tells={"dynamodb:DeleteTable": [self._forget]},
        )

    def note(self, table: str, old: Item | None, new: Item | None) -> None:
        """Note a write to a table; one that changes nothing is none."""
        recovery = self._recoveries.get(table)
        if recovery is not None and old != new:
            recovery.writes.append(ItemWrite(int(self._clock.now() * 1_000_000), old or None, new or None))

    def recovery(self, table: str) -> Recovery | None:
        """Return the recovery of a table; `None` if it is off."""
        return self._recoveries.get(table)

    def update_continuous_backups(self, parameters: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Answer UpdateContinuousBackups."""
        table = existing_table(self._tables, parameters["TableName"])["TableName"]
        if not parameters["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]:
            self._recoveries.pop(table, None)
        else:
            self._recoveries.setdefault(table, Recovery(self._clock.now()))
        return 200, {"ContinuousBackupsDescription": self._described(table)}

    def describe_continuous_backups(self, parameters: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Answer DescribeContinuousBackups."""
        table = existing_table(self._tables, parameters["TableName"])["TableName"]
        return 200, {"ContinuousBackupsDescription": self._described(table)}

    def _described(self, table: str) -> dict[str, Any]:
        recovery, now = self._recoveries.get(table), self._clock.now()
        described: dict[str, Any] = {"PointInTimeRecoveryStatus": "DISABLED"}
        if recovery is not None:
            described = {
                "PointInTimeRecoveryStatus": "ENABLED",
                "RecoveryPeriodInDays": RECOVERY_DAYS,
                "EarliestRestorableDateTime": recovery.earliest(now),
                "LatestRestorableDateTime": now,
            }
        return {"ContinuousBackupsStatus": "ENABLED", "PointInTimeRecoveryDescription": described}

    def _forget(self, call: AwsCall) -> None:
        self._recoveries.pop(call.parameters["TableName"].rpartition("/")[2], None)


def existing_table(tables: Any, name: str) -> Mapping[str, Any]:
    """Return the description of a table.

    Args:
        tables: A boto3 client of DynamoDB.
        name: Its name or ARN.

    Raises:
        AwsError: There is no such table.
    """
    try:
        return tables.describe_table(TableName=name.rpartition("/")[2])["Table"]
    except ClientError as missing:
        raise AwsError("TableNotFoundException", f"Table not found: {name}") from missing


def key_names(table: Mapping[str, Any]) -> Sequence[str]:
    """Return the names of the key's attributes by a table's description."""
    return [each["AttributeName"] for each in table["KeySchema"]]
