"""`StackConfig`: the configuration of a stack, typed and checked before anything is made.

The keys, their types and defaults stand in `Pulumi.yaml`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import pulumi

from aws_semantics.limits import FUNCTION_TIMEOUT, LOG_RETENTION_DAYS, STREAM_MAPPING_RANGES, Range


@dataclass(frozen=True, kw_only=True)
class StackConfig:
    """What differs between stacks.

    Attributes:
        mail_from: The address mails come from.
        protect: Whether tables refuse to be deleted.
        function_timeout: Seconds an invocation of a consumer may run.
        batch_size: Records per invocation at most.
        batching_window: Seconds a batch may wait to fill.
        retry_attempts: Retries before a record is given up.
        log_retention_in_days: How long logs are kept.
        alarm_email: Who hears of alarms; nobody beyond the topic's own subscribers when not set.
    """

    mail_from: str
    protect: bool
    function_timeout: int
    batch_size: int
    batching_window: int
    retry_attempts: int
    log_retention_in_days: int
    alarm_email: str | None

    @classmethod
    def load(cls) -> StackConfig:
        """The configuration of the running program's stack.

        Raises:
            pulumi.RunError: Values are missing or wrong, one line each; Pulumi prints it without a traceback.
        """
        reader = _Reader(pulumi.Config())
        config = cls(
            mail_from=reader.address("mailFrom") or "",
            protect=reader.boolean("protect"),
            function_timeout=reader.number("functionTimeout", FUNCTION_TIMEOUT, "seconds"),
            batch_size=reader.number("batchSize", STREAM_MAPPING_RANGES["BatchSize"], "records"),
            batching_window=reader.number(
                "batchingWindow", STREAM_MAPPING_RANGES["MaximumBatchingWindowInSeconds"], "seconds"
            ),
            retry_attempts=reader.number("retryAttempts", STREAM_MAPPING_RANGES["MaximumRetryAttempts"], "retries"),
            log_retention_in_days=reader.choice("logRetentionDays", LOG_RETENTION_DAYS),
            alarm_email=reader.address("alarmEmail", required=False),
        )
        reader.raise_problems()
        return config


class _Reader:
    """Reads every key before it complains, so that all mistakes show at once."""

    def __init__(self, config: pulumi.Config) -> None:
        self._config = config
        self._problems: list[str] = []

    def address(self, key: str, *, required: bool = True) -> str | None:
        value = self._config.get(key) or None  # Pulumi.yaml's default for "not set" is the empty text
        if value is None:
            if required:
                self._problems.append(f"{key} is missing: run  pulumi config set {key} hello@example.com")
            return None
        if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", value):
            self._problems.append(f"{key} is {value!r}, which is not an email address: write hello@example.com")
        return value

    def boolean(self, key: str) -> bool:
        value = self._config.get(key)
        if value not in ("true", "false"):
            self._problems.append(f"{key} is {_found(value)}: write true or false")
        return value == "true"

    def number(self, key: str, allowed: Range, unit: str) -> int:
        value = self._config.get(key)
        if value is None or not re.fullmatch(r"-?\d+", value) or int(value) not in allowed:
            self._problems.append(f"{key} is {_found(value)}: AWS takes {allowed} {unit}")
            return allowed.maximum
        return int(value)

    def choice(self, key: str, allowed: tuple[int, ...]) -> int:
        value = self._config.get(key)
        if value is None or not value.isdecimal() or int(value) not in allowed:
            self._problems.append(f"{key} is {_found(value)}: AWS takes one of {', '.join(map(str, allowed))}")
            return allowed[0]
        return int(value)

    def raise_problems(self) -> None:
        if self._problems:
            stack = pulumi.get_stack()
            raise pulumi.RunError(
                "\n".join(f"Pulumi.{stack}.yaml: {self._config.name}:{problem}" for problem in self._problems)
            )


def _found(value: str | None) -> str:
    return "missing" if value is None else repr(value)
