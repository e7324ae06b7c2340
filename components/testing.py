"""Pulumi mocks that answer what AWS would: for unit tests of programs that use these components.

    import pulumi
    from components.testing import AwsMocks

    aws = AwsMocks()
    pulumi.runtime.set_mocks(aws)

    @pulumi.runtime.test
    def test_the_mapping_bisects():
        ...

https://www.pulumi.com/docs/iac/guides/testing/unit/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi.runtime import MockCallArgs, MockResourceArgs, Mocks

#: The outputs that AWS computes for a resource, by type token; every other property reads back as it was given. The
#: placeholders are the resource's physical `name`, and the `region` and `account` of the mocks.
_COMPUTED: Mapping[str, Mapping[str, str]] = {
    "aws:apigatewayv2/api:Api": {
        "apiEndpoint": "https://{name}.execute-api.{region}.amazonaws.com",
        "arn": "arn:aws:apigateway:{region}::/apis/{name}",
        "executionArn": "arn:aws:execute-api:{region}:{account}:{name}",
    },
    "aws:apigatewayv2/stage:Stage": {"invokeUrl": "https://{name}.execute-api.{region}.amazonaws.com"},
    "aws:apigatewayv2/authorizer:Authorizer": {"arn": "arn:aws:apigateway:{region}::/apis/api/authorizers/{name}"},
    "aws:cloudwatch/compositeAlarm:CompositeAlarm": {"arn": "arn:aws:cloudwatch:{region}:{account}:alarm:{name}"},
    "aws:cloudwatch/dashboard:Dashboard": {"dashboardArn": "arn:aws:cloudwatch::{account}:dashboard/{name}"},
    "aws:cloudwatch/eventApiDestination:EventApiDestination": {
        "arn": "arn:aws:events:{region}:{account}:api-destination/{name}/0a1b2c3d-0000-4000-8000-000000000000"
    },
    "aws:cloudwatch/eventArchive:EventArchive": {"arn": "arn:aws:events:{region}:{account}:archive/{name}"},
    "aws:cloudwatch/eventBus:EventBus": {"arn": "arn:aws:events:{region}:{account}:event-bus/{name}"},
    "aws:cloudwatch/eventConnection:EventConnection": {
        "arn": "arn:aws:events:{region}:{account}:connection/{name}/0a1b2c3d-0000-4000-8000-000000000000",
        "secretArn": "arn:aws:secretsmanager:{region}:{account}:secret:events!connection/{name}/0a1b-AbCdEf",
    },
    "aws:cloudwatch/eventRule:EventRule": {"arn": "arn:aws:events:{region}:{account}:rule/{name}"},
    "aws:cloudwatch/logGroup:LogGroup": {"arn": "arn:aws:logs:{region}:{account}:log-group:{name}"},
    "aws:cloudwatch/metricAlarm:MetricAlarm": {"arn": "arn:aws:cloudwatch:{region}:{account}:alarm:{name}"},
    "aws:dynamodb/table:Table": {
        "arn": "arn:aws:dynamodb:{region}:{account}:table/{name}",
        "streamArn": "arn:aws:dynamodb:{region}:{account}:table/{name}/stream/2026-01-31T08:30:00.000",
        "streamLabel": "2026-01-31T08:30:00.000",
    },
    "aws:iam/policy:Policy": {"arn": "arn:aws:iam::{account}:policy/{name}"},
    "aws:iam/role:Role": {"arn": "arn:aws:iam::{account}:role/{name}"},
    "aws:kinesis/stream:Stream": {"arn": "arn:aws:kinesis:{region}:{account}:stream/{name}"},
    "aws:kinesis/streamConsumer:StreamConsumer": {
        "arn": "arn:aws:kinesis:{region}:{account}:stream/made-up/consumer/{name}:1769848200",
        "creationTimestamp": "2026-01-31T08:30:00Z",
    },
    "aws:lambda/eventSourceMapping:EventSourceMapping": {
        "arn": "arn:aws:lambda:{region}:{account}:event-source-mapping:{name}",
        "uuid": "{name}",
    },
    "aws:lambda/function:Function": {
        "arn": "arn:aws:lambda:{region}:{account}:function:{name}",
        "invokeArn": "arn:aws:apigateway:{region}:lambda:path/2015-03-31/functions/"
        "arn:aws:lambda:{region}:{account}:function:{name}/invocations",
    },
    "aws:lambda/layerVersion:LayerVersion": {"arn": "arn:aws:lambda:{region}:{account}:layer:{name}:1"},
    "aws:pipes/pipe:Pipe": {"arn": "arn:aws:pipes:{region}:{account}:pipe/{name}"},
    "aws:s3/bucket:Bucket": {"arn": "arn:aws:s3:::{name}", "bucketDomainName": "{name}.s3.amazonaws.com"},
    "aws:scheduler/scheduleGroup:ScheduleGroup": {"arn": "arn:aws:scheduler:{region}:{account}:schedule-group/{name}"},
    "aws:secretsmanager/secret:Secret": {"arn": "arn:aws:secretsmanager:{region}:{account}:secret:{name}-AbCdEf"},
    "aws:sesv2/emailIdentity:EmailIdentity": {"arn": "arn:aws:ses:{region}:{account}:identity/{name}"},
    "aws:sfn/stateMachine:StateMachine": {"arn": "arn:aws:states:{region}:{account}:stateMachine:{name}"},
    "aws:ssm/parameter:Parameter": {"arn": "arn:aws:ssm:{region}:{account}:parameter/{name}"},
    "aws:sns/topicSubscription:TopicSubscription": {"arn": "arn:aws:sns:{region}:{account}:{name}"},
    "aws:sqs/queue:Queue": {"url": "https://sqs.{region}.amazonaws.com/{account}/{name}"},
}

#: The argument that a type's physical name comes from, where it is not `name`.
_NAMED_BY: Mapping[str, str] = {
    "aws:lambda/layerVersion:LayerVersion": "layerName",
    "aws:s3/bucket:Bucket": "bucket",
    "aws:sesv2/emailIdentity:EmailIdentity": "emailIdentity",
}

#: The output that is a type's id, where the provider does not make one up.
_IDENTIFIED_BY: Mapping[str, str] = {
    "aws:iam/policy:Policy": "arn",
    "aws:secretsmanager/secret:Secret": "arn",
    "aws:sfn/stateMachine:StateMachine": "arn",
    "aws:sns/topic:Topic": "arn",
    "aws:sqs/queue:Queue": "url",
}

#: Types whose FIFO resources have names that end in `.fifo`; the provider appends it to the names it makes.
_FIFO = {"aws:sns/topic:Topic": "fifoTopic", "aws:sqs/queue:Queue": "fifoQueue"}


class AwsMocks(Mocks):
    """Mocks for `pulumi.runtime.set_mocks` that complete every resource with the outputs AWS computes.

    A resource gets its logical name as physical name unless it is given one, an ARN of its service, and for a table
    with a stream the stream's ARN. In a preview (`set_mocks(…, preview=True)`) computed outputs stay unknown, as with
    the real provider.

    Args:
        region: The region in ARNs.
        account_id: The account in ARNs, twelve digits.

    Attributes:
        registered: The resources and components that the program registered, in that order: `typ`, `name` and
            `inputs` in Pulumi's wire names (camelCase).

    Example:
        >>> mocks = AwsMocks()
        >>> table = MockResourceArgs("aws:dynamodb/table:Table", "users", {"streamEnabled": True})
        >>> mocks.new_resource(table)[1]["streamArn"]
        'arn:aws:dynamodb:us-east-1:123456789012:table/users/stream/2026-01-31T08:30:00.000'
    """

    def __init__(self, *, region: str = "us-east-1", account_id: str = "123456789012") -> None:
        self.region = region
        self.account_id = account_id
        self.registered: list[MockResourceArgs] = []

    def all(self, type_: str) -> list[MockResourceArgs]:
        """List the registered resources of a type.

        Args:
            type_: The end of the type token: `Table`, `EventSourceMapping`, `StreamConsumer`.
        """
        return [each for each in self.registered if each.typ.rpartition(":")[2] == type_]

    def one(self, type_: str, name: str | None = None) -> MockResourceArgs:
        """Find the only registered resource of a type, or the one with a logical name.

        Args:
            type_: The end of the type token.
            name: The logical name.

        Raises:
            LookupError: None matches, or several do; the message lists the type's resources.
        """
        candidates = self.all(type_)
        found = [each for each in candidates if name in (None, each.name)]
        if len(found) != 1:
            names = ", ".join(each.name for each in candidates) or "none"
            raise LookupError(
                f"{len(found)} resources match {type_}{'' if name is None else f' {name}'}, not one; "
                f"registered of this type: {names}"
            )
        return found[0]

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        """Answer a registration with an id and the resource's outputs."""
        self.registered.append(args)
        inputs = dict(args.inputs)
        if not args.typ.startswith("aws:"):
            return "", inputs
        if pulumi.runtime.is_dry_run():
            return "", inputs
        named_by = _NAMED_BY.get(args.typ, "name")
        suffix = ".fifo" if inputs.get(_FIFO.get(args.typ, "")) else ""
        name = inputs.get(named_by) or f"{args.name}{suffix}"
        place = {"name": name, "region": self.region, "account": self.account_id}
        computed = {"arn": self._arn(args.typ, name)} | {
            key: text.format(**place) for key, text in _COMPUTED.get(args.typ, {}).items()
        }
        if args.typ == "aws:dynamodb/table:Table" and not inputs.get("streamEnabled"):
            computed |= {"streamArn": "", "streamLabel": ""}
        id_ = computed.get(_IDENTIFIED_BY.get(args.typ, ""), f"{args.name}-id")
        return id_, {named_by: name, "name": name} | computed | inputs

    def call(self, args: MockCallArgs) -> dict[str, Any]:  # pyright: ignore[reportIncompatibleMethodOverride] - Pulumi takes a mapping too, and fails on the documented pair
        """Answer a provider function that only depends on where the program runs.

        Raises:
            LookupError: It is another function; a subclass can answer it.
        """
        match args.token:
            case "aws:index/getCallerIdentity:getCallerIdentity":
                user = f"arn:aws:iam::{self.account_id}:user/test"
                return {"accountId": self.account_id, "arn": user, "id": self.account_id, "userId": "AIDATEST"}
            case "aws:index/getRegion:getRegion":
                return {"id": self.region, "name": self.region, "region": self.region}
            case "aws:index/getPartition:getPartition":
                return {"dnsSuffix": "amazonaws.com", "id": "aws", "partition": "aws"}
            case token:
                raise LookupError(
                    f"AwsMocks does not answer {token}, because the answer lies in an account: "
                    "write a subclass whose call() returns it, and hands everything else to super().call(args)"
                )

    def _arn(self, type_: str, name: str) -> str:
        service = re.split("[:/]", type_)[1]
        return f"arn:aws:{service}:{self.region}:{self.account_id}:{name}"
