"""The actions that each operation needs, on which resources, and the condition keys that come with them.

https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
has a page per service.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from email.utils import getaddresses, parseaddr
from typing import Any

from local.endpoint.api.errors import NotSimulated
from local.endpoint.authorization.encryption_needs import kms, parameter_store, secrets_manager
from local.endpoint.authorization.lookups import Lookups, Need, Parameters
from local.endpoint.functions.names import name_of, qualifier_of
from local.engine.queues.move_task import read_handle
from local.engine.roles.policy_evaluation import Context


def needs_of(service: str, operation: str, parameters: Parameters, lookups: Lookups) -> Sequence[Need]:
    """List what a call needs.

    Raises:
        NotSimulated: It is not known here.
    """
    found = _SERVICES.get(service)
    needs = None if found is None else found(operation, parameters, lookups)
    if needs is None:
        raise NotSimulated(
            f"the local endpoint does not know which permission {service}:{operation} needs, so a role cannot call it "
            "here: call it with the endpoint's own keys, or run this against an AWS account"
        )
    return needs


#: The action of each part of a transaction.
_TRANSACTION = {
    "ConditionCheck": "ConditionCheckItem",
    "Delete": "DeleteItem",
    "Get": "GetItem",
    "Put": "PutItem",
    "Update": "UpdateItem",
}


def _leading_keys(table: str, items: Sequence[Mapping[str, Any]], lookups: Lookups) -> Context:
    """Return the condition key `dynamodb:LeadingKeys`: the partition keys of some items."""
    name = lookups.partition_key(table.rpartition("/")[2])
    if name is None or not all(name in item for item in items):
        return {}
    return {"dynamodb:leadingkeys": [str(value) for item in items for value in item[name].values()]}


def _dynamodb(operation: str, parameters: Parameters, lookups: Lookups) -> Sequence[Need] | None:
    def table(name: str) -> str:
        return lookups.arn("dynamodb", name if name.startswith("arn:") else f"table/{name}")

    match operation:
        case "TransactWriteItems" | "TransactGetItems":
            parts = [part for item in parameters.get("TransactItems", []) for part in item.items()]
            return [
                Need(
                    f"dynamodb:{_TRANSACTION[kind]}",
                    table(part["TableName"]),
                    _leading_keys(part["TableName"], [part.get("Key") or part["Item"]], lookups),
                )
                for kind, part in parts
            ]
        case "BatchGetItem":
            return [
                Need("dynamodb:BatchGetItem", table(name), _leading_keys(name, part["Keys"], lookups))
                for name, part in parameters.get("RequestItems", {}).items()
            ]
        case "BatchWriteItem":
            writes = {
                name: [write.get("Key") or write["Item"] for each in listed for write in each.values()]
                for name, listed in parameters.get("RequestItems", {}).items()
            }
            return [
                Need("dynamodb:BatchWriteItem", table(name), _leading_keys(name, items, lookups))
                for name, items in writes.items()
            ]
        case "GetItem" | "PutItem" | "UpdateItem" | "DeleteItem":
            name = parameters["TableName"]
            item = parameters.get("Key") or parameters.get("Item", {})
            return [Need(f"dynamodb:{operation}", table(name), _leading_keys(name, [item], lookups))]
        case "ListExports" | "ListTables":
            return [Need(f"dynamodb:{operation}", "*")]
        case "DescribeExport":
            return [Need("dynamodb:DescribeExport", parameters["ExportArn"])]
        case "ExportTableToPointInTime":
            # DynamoDB writes with the caller's permissions (EXP-3).
            prefix = f"{parameters['S3Prefix']}/" if parameters.get("S3Prefix") else ""
            written = f"arn:aws:s3:::{parameters['S3Bucket']}/{prefix}AWSDynamoDB/"
            return [
                Need("dynamodb:ExportTableToPointInTime", table(parameters["TableArn"])),
                *(
                    Need(f"s3:{action}", written, {"s3:prefix": None, "s3:delimiter": None, "s3:if-none-match": None})
                    for action in ("AbortMultipartUpload", "PutObject", "PutObjectAcl")
                ),
            ]
        case "ListTagsOfResource" | "TagResource" | "UntagResource":
            return [Need(f"dynamodb:{operation}", parameters["ResourceArn"])]
        case "Query" | "Scan" if parameters.get("IndexName"):
            return [Need(f"dynamodb:{operation}", f"{table(parameters['TableName'])}/index/{parameters['IndexName']}")]
        case _:
            return [Need(f"dynamodb:{operation}", table(parameters["TableName"]))]


def _dynamodb_streams(operation: str, parameters: Parameters, lookups: Lookups) -> Sequence[Need] | None:
    if operation == "ListStreams":
        return [Need("dynamodb:ListStreams", "*")]
    stream = parameters.get("StreamArn") or lookups.stream_of(parameters.get("ShardIterator", ""))
    return None if stream is None else [Need(f"dynamodb:{operation}", stream)]


#: Actions of S3 that are not named after their operation.
_S3 = {
    "DeleteBucketEncryption": "PutEncryptionConfiguration",
    "DeleteBucketLifecycle": "PutLifecycleConfiguration",
    "DeleteBucketOwnershipControls": "PutBucketOwnershipControls",
    "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "HeadBucket": "ListBucket",
    "HeadObject": "GetObject",
    "ListObjectsV2": "ListBucket",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
}


def _s3(operation: str, parameters: Parameters, _: Lookups) -> Sequence[Need] | None:
    if operation == "ListBuckets":
        return [Need("s3:ListAllMyBuckets", "*")]
    bucket, key = f"arn:aws:s3:::{parameters['Bucket']}", parameters.get("Key")
    action = f"s3:{_S3.get(operation, operation)}"
    if key is not None:
        if_none_match = parameters.get("IfNoneMatch")
        keys = {"s3:prefix": None, "s3:delimiter": None, "s3:if-none-match": if_none_match}
        return [Need(action, f"{bucket}/{key}", keys)]
    return [Need(action, bucket, {f"s3:{name.lower()}": parameters.get(name) for name in ("Prefix", "Delimiter")})]


#: Batch operations of SQS, which need the action of their entries.
_SQS_BATCHES = {
    "ChangeMessageVisibilityBatch": "ChangeMessageVisibility",
    "DeleteMessageBatch": "DeleteMessage",
    "SendMessageBatch": "SendMessage",
}


#: Operations on message move tasks, and what a caller must be allowed to do to the dead-letter queue besides (SQS-14).
_MOVES = ("StartMessageMoveTask", "ListMessageMoveTasks", "CancelMessageMoveTask")
_OF_MOVES = ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")


def _sqs(operation: str, parameters: Parameters, lookups: Lookups) -> Sequence[Need] | None:
    if operation in _MOVES:
        named = read_handle(parameters.get("TaskHandle", ""))
        source = parameters.get("SourceArn") or (named[0] if named else "*")
        needs = [Need(f"sqs:{each}", source) for each in (operation, *_OF_MOVES)]
        if operation == "StartMessageMoveTask":
            given = parameters.get("DestinationArn")
            destinations = [given] if given else lookups.dead_letter_sources(source)
            needs += [Need("sqs:SendMessage", each) for each in destinations]
        return needs
    name = parameters.get("QueueName") or parameters.get("QueueUrl", "").rpartition("/")[2]
    return [Need(f"sqs:{_SQS_BATCHES.get(operation, operation)}", lookups.arn("sqs", name))]


def _sns(operation: str, parameters: Parameters, lookups: Lookups) -> Sequence[Need] | None:
    topic = parameters.get("TopicArn") or parameters.get("TargetArn")
    if operation == "CreateTopic":
        topic = lookups.arn("sns", parameters["Name"])
    if topic is None and "SubscriptionArn" in parameters:
        topic = parameters["SubscriptionArn"].rpartition(":")[0]
    action = "Publish" if operation == "PublishBatch" else operation
    keys: Context = {"sns:protocol": parameters.get("Protocol"), "sns:endpoint": parameters.get("Endpoint")}
    return [Need(f"sns:{action}", topic or "*", keys)]


def _sesv2(operation: str, parameters: Parameters, lookups: Lookups) -> Sequence[Need] | None:
    if operation != "SendEmail":
        return [Need(f"ses:{operation}", lookups.arn("ses", f"identity/{parameters.get('EmailIdentity', '*')}"))]
    display, sender = parseaddr(parameters.get("FromEmailAddress", ""))
    domain = sender.rpartition("@")[2]
    # The identity of an address goes before that of its domain.
    identity = sender if sender in lookups.identities() else domain
    destination = parameters.get("Destination", {})
    lines = [line for kind in ("To", "Cc", "Bcc") for line in destination.get(f"{kind}Addresses", [])]
    keys: Context = {
        "ses:fromaddress": sender,
        "ses:fromdisplayname": display or None,
        "ses:recipients": [address for _, address in getaddresses(lines)] or None,
    }
    return [Need("ses:SendEmail", lookups.arn("ses", f"identity/{identity}"), keys)]


def _lambda(operation: str, parameters: Parameters, lookups: Lookups) -> Sequence[Need] | None:
    if operation in ("ListFunctions", "ListEventSourceMappings"):
        return [Need(f"lambda:{operation}", "*")]
    if operation in ("GetEventSourceMapping", "UpdateEventSourceMapping", "DeleteEventSourceMapping"):
        return [Need(f"lambda:{operation}", lookups.arn("lambda", f"event-source-mapping:{parameters['UUID']}"))]
    name = parameters.get("FunctionName")
    if name is None:
        return None
    arn = lookups.arn("lambda", f"function:{name_of(name)}")
    qualifier = parameters.get("Qualifier") or qualifier_of(name)
    action = "InvokeFunction" if operation == "Invoke" else operation
    return [Need(f"lambda:{action}", f"{arn}:{qualifier}" if qualifier else arn)]


def _pipes(operation: str, parameters: Parameters, lookups: Lookups) -> Sequence[Need] | None:
    if operation == "ListPipes":
        return [Need("pipes:ListPipes", "*")]
    name = parameters.get("Name")
    return None if name is None else [Need(f"pipes:{operation}", lookups.arn("pipes", f"pipe/{name}"))]


def _states(operation: str, parameters: Parameters, lookups: Lookups) -> Sequence[Need] | None:
    named = (parameters.get(each) for each in ("stateMachineArn", "executionArn", "mapRunArn"))
    arn = next((each for each in named if each), None)
    if operation.startswith("SendTask"):
        arn = "*"  # a token names no resource
    if operation == "CreateStateMachine":
        arn = lookups.arn("states", f"stateMachine:{parameters['name']}")
    return None if arn is None else [Need(f"states:{operation}", arn)]


def _events(operation: str, parameters: Parameters, lookups: Lookups) -> Sequence[Need] | None:
    def bus(name: str | None) -> str:
        return lookups.arn("events", name if name and name.startswith("arn:") else f"event-bus/{name or 'default'}")

    if operation != "PutEvents":
        return None
    needs: list[Need] = []
    for entry in parameters.get("Entries", []):
        keys: Context = {"events:source": entry.get("Source"), "events:detail-type": entry.get("DetailType")}
        needs.append(Need("events:PutEvents", bus(entry.get("EventBusName")), keys))
    return needs


def _scheduler(operation: str, parameters: Parameters, lookups: Lookups) -> Sequence[Need] | None:
    name = parameters.get("Name")
    if name is None:
        return None
    if operation.endswith("Group"):
        return [Need(f"scheduler:{operation}", lookups.arn("scheduler", f"schedule-group/{name}"))]
    arn = lookups.arn("scheduler", f"schedule/{parameters.get('GroupName', 'default')}/{name}")
    role = parameters.get("Target", {}).get("RoleArn")
    passed = [Need("iam:PassRole", role, {"iam:passedtoservice": "scheduler.amazonaws.com"})] if role else []
    return [Need(f"scheduler:{operation}", arn), *passed]


def _kinesis(operation: str, parameters: Parameters, lookups: Lookups) -> Sequence[Need] | None:
    arn, name = parameters.get("StreamARN"), parameters.get("StreamName")
    if arn is None and name is None:
        return None
    return [Need(f"kinesis:{operation}", arn or lookups.arn("kinesis", f"stream/{name}"))]


def _logs(operation: str, parameters: Parameters, lookups: Lookups) -> Sequence[Need] | None:
    group, stream = parameters.get("logGroupName", ""), parameters.get("logStreamName", "")
    # CloudWatch Logs names the log stream in the resource of every action, though it be empty.
    return [Need(f"logs:{operation}", lookups.arn("logs", f"log-group:{group}:log-stream:{stream}"))]


def _cloudwatch(operation: str, parameters: Parameters, lookups: Lookups) -> Sequence[Need] | None:
    name = parameters.get("AlarmName")
    return [Need(f"cloudwatch:{operation}", lookups.arn("cloudwatch", f"alarm:{name}") if name else "*")]


def _iam(operation: str, parameters: Parameters, lookups: Lookups) -> Sequence[Need] | None:
    prefix = f"arn:aws:iam::{lookups.account_id}:"
    if role := parameters.get("RoleName"):
        return [Need(f"iam:{operation}", f"{prefix}role/{role}", {"iam:policyarn": parameters.get("PolicyArn")})]
    if policy := parameters.get("PolicyArn"):
        return [Need(f"iam:{operation}", policy)]
    name = parameters.get("PolicyName")
    return [Need(f"iam:{operation}", f"{prefix}policy/{name}" if name else "*")]


def _sts(operation: str, parameters: Parameters, _: Lookups) -> Sequence[Need] | None:
    # Everyone may ask who they are; AssumeRole is judged with the role's trust policy.
    return [] if operation == "GetCallerIdentity" else [Need("sts:AssumeRole", parameters.get("RoleArn", ""))]


_SERVICES: Mapping[str, Callable[[str, Parameters, Lookups], Sequence[Need] | None]] = {
    "cloudwatch": _cloudwatch,
    "dynamodb": _dynamodb,
    "dynamodbstreams": _dynamodb_streams,
    "events": _events,
    "iam": _iam,
    "kinesis": _kinesis,
    "kms": kms,
    "lambda": _lambda,
    "pipes": _pipes,
    "logs": _logs,
    "s3": _s3,
    "scheduler": _scheduler,
    "secretsmanager": secrets_manager,
    "sesv2": _sesv2,
    "sns": _sns,
    "sqs": _sqs,
    "ssm": parameter_store,
    "stepfunctions": _states,
    "sts": _sts,
}
