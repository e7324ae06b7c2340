"""The physical name of a resource, out of whatever names it: an ARN, a URL, an id or the name itself."""

from __future__ import annotations

from dataclasses import dataclass

from policies.aws_types import (
    ALIAS,
    BUCKETS,
    COMPOSITE_ALARM,
    FUNCTION,
    KEY,
    KEY_ALIAS,
    KINESIS_CONSUMER,
    KINESIS_STREAM,
    METRIC_ALARM,
    PIPE,
    POLICY,
    QUEUE,
    ROLE,
    TABLE,
    TOPIC,
)

#: The service of a type's ARNs.
_SERVICES = {
    TABLE: "dynamodb",
    KINESIS_STREAM: "kinesis",
    KINESIS_CONSUMER: "kinesis",
    FUNCTION: "lambda",
    ALIAS: "lambda",
    PIPE: "pipes",
    QUEUE: "sqs",
    TOPIC: "sns",
    **dict.fromkeys(BUCKETS, "s3"),
    ROLE: "iam",
    POLICY: "iam",
    METRIC_ALARM: "cloudwatch",
    COMPOSITE_ALARM: "cloudwatch",
    KEY: "kms",
    KEY_ALIAS: "kms",
}

#: The properties that name a resource of a type, the plainest first; every type has `arn` besides.
NAMING = {
    FUNCTION: ("name",),
    KINESIS_CONSUMER: ("arn",),
    **dict.fromkeys(BUCKETS, ("bucket",)),
    COMPOSITE_ALARM: ("alarmName",),
    KEY: ("keyId",),
    ALIAS: (),
}


@dataclass(frozen=True)
class Arn:
    """The parts of an ARN that rules ask for.

    Attributes:
        service: `sqs`.
        place: Region and account: `us-east-1:111122223333`. Empty for S3, and without a region for IAM.
        resource: What follows: `table/users/stream/2026-01-01T00:00:00.000`.
    """

    service: str
    place: str
    resource: str

    @classmethod
    def parse(cls, text: str | None) -> Arn | None:
        """The parts, or `None` for what is no ARN."""
        parts = (text or "").split(":", 5)
        if len(parts) < 6 or parts[0] != "arn":
            return None
        return cls(parts[2], f"{parts[3]}:{parts[4]}", parts[5])


@dataclass(frozen=True)
class FunctionName:
    """A function as Lambda takes it: by name, partial or full ARN, with or without a qualifier.

    Attributes:
        name: The function.
        qualifier: Its version or alias.
    """

    name: str
    qualifier: str | None

    @classmethod
    def parse(cls, text: str) -> FunctionName:
        """The parts of `name`, `name:qualifier`, `account:function:name` or an ARN."""
        arn = Arn.parse(text)
        parts = (arn.resource if arn else text).split(":")
        if "function" in parts[:-1]:
            parts = parts[parts.index("function") + 1 :]
        return cls(parts[0], parts[1] if len(parts) > 1 else None)


def physical_name(type_: str, text: str) -> str | None:
    """The name within an ARN, a URL or an id; `None` for the ARN of something else.

    Example:
        >>> physical_name("aws:sqs/queue:Queue", "https://sqs.us-east-1.amazonaws.com/111122223333/failures")
        'failures'
        >>> physical_name("aws:dynamodb/table:Table", "arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026")
        'users'
        >>> physical_name("aws:sqs/queue:Queue", "arn:aws:sns:us-east-1:111122223333:failures") is None
        True
    """
    arn = Arn.parse(text)
    if arn is not None and arn.service != _SERVICES[type_]:
        return None
    if type_ in (FUNCTION, ALIAS):
        function = FunctionName.parse(text)
        # An alias is known by its function too: two functions may each have a `live`.
        return function.name if type_ == FUNCTION else function.qualifier and f"{function.name}:{function.qualifier}"
    if arn is None:
        return text.rsplit("/", 1)[-1] if text.startswith("https://") else text
    kind, _, path = arn.resource.partition("/")
    match arn.service:
        case "dynamodb":
            return path.split("/")[0] if kind == "table" else None
        case "kinesis":
            # A consumer (enhanced fan-out) is known by its whole ARN; what it reads, by the stream in it.
            return text if type_ == KINESIS_CONSUMER else path.split("/")[0]
        case "s3":
            return kind
        case "iam":
            # Between the kind and the name may stand a path: role/service/orders.
            return path.rsplit("/", 1)[-1] if kind == ("role" if type_ == ROLE else "policy") else None
        case "cloudwatch":
            return arn.resource.removeprefix("alarm:")
        case "kms":
            return arn.resource if type_ == KEY_ALIAS else path
        case "pipes":
            return path
        case _:
            return arn.resource
