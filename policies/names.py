"""The physical name of a resource, read from an ARN, a URL, an id or the name itself."""

from __future__ import annotations

from dataclasses import dataclass

from policies.aws_types import (
    ALIAS,
    API,
    API_DESTINATION,
    BUCKETS,
    COMPOSITE_ALARM,
    EVENT_RULE,
    FUNCTION,
    KEY,
    KEY_ALIAS,
    KINESIS_CONSUMER,
    KINESIS_STREAM,
    METRIC_ALARM,
    PIPE,
    POLICY,
    QUEUE,
    REST_API,
    REST_RESOURCE,
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
    API: "apigateway",
    REST_API: "apigateway",
    REST_RESOURCE: "apigateway",
    API_DESTINATION: "events",
    EVENT_RULE: "events",
}

#: The properties that name a resource of a type, the plainest first; every type also has `arn`.
NAMING = {
    FUNCTION: ("name",),
    KINESIS_CONSUMER: ("arn",),
    **dict.fromkeys(BUCKETS, ("bucket",)),
    COMPOSITE_ALARM: ("alarmName",),
    KEY: ("keyId",),
    ALIAS: (),
    API: ("id",),
    REST_API: ("id",),
    REST_RESOURCE: ("id",),
    API_DESTINATION: ("name",),
    EVENT_RULE: ("name",),
}


@dataclass(frozen=True)
class Arn:
    """The parts of an ARN that rules use.

    Attributes:
        service: `sqs`.
        place: Region and account: `us-east-1:111122223333`. Empty for S3, and without a region for IAM.
        resource: The rest: `table/users/stream/2026-01-01T00:00:00.000`.
    """

    service: str
    place: str
    resource: str

    @property
    def region(self) -> str | None:
        """The region; `None` where the service has none in its ARNs."""
        return self.place.partition(":")[0] or None

    @classmethod
    def parse(cls, text: str | None) -> Arn | None:
        """Split an ARN; `None` for a text that is not one."""
        parts = (text or "").split(":", 5)
        if len(parts) < 6 or parts[0] != "arn":
            return None
        return cls(parts[2], f"{parts[3]}:{parts[4]}", parts[5])


@dataclass(frozen=True)
class FunctionName:
    """A function as Lambda accepts it: by name, partial or full ARN, with or without a qualifier.

    Attributes:
        name: The function.
        qualifier: Its version or alias.
    """

    name: str
    qualifier: str | None

    @classmethod
    def parse(cls, text: str) -> FunctionName:
        """Split `name`, `name:qualifier`, `account:function:name` or an ARN."""
        arn = Arn.parse(text)
        parts = (arn.resource if arn else text).split(":")
        if "function" in parts[:-1]:
            parts = parts[parts.index("function") + 1 :]
        return cls(parts[0], parts[1] if len(parts) > 1 else None)


def physical_name(type_: str, text: str) -> str | None:
    """Read the name within an ARN, a URL or an id; `None` for the ARN of another service.

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
            # There may be a path between the kind and the name: role/service/orders.
            return path.rsplit("/", 1)[-1] if kind == ("role" if type_ == ROLE else "policy") else None
        case "cloudwatch":
            return arn.resource.removeprefix("alarm:")
        case "kms":
            return arn.resource if type_ == KEY_ALIAS else path
        case "pipes":
            return path
        case "events":
            # api-destination/crm/0f1e2d3c, rule/nightly, rule/bus/nightly
            return path.split("/")[0] if type_ == API_DESTINATION else path.rsplit("/", 1)[-1]
        case _:
            return arn.resource
