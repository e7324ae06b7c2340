"""Resources of a program as a CloudFormation template, for AWS's resource schemas and cfn-lint's rules.

The members that the deployment sends to AWS have CloudFormation's names, apart from the differences declared here. So
a template says what the requests say, and cfn-lint judges names, types, enums, patterns, IAM documents and workflows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cfnlint.api import lint
from cfnlint.config import ManualArgs
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from local.deploy.program import Registration
from local.deploy.resources import RESOURCES
from local.deploy.resources.members import Document, Member, Members, NotUsed, to_document
from ops.mocked_program import REGION

#: Rules about templates, not resources: sizes, deletion policies, one entry per name (a bucket's parts have one each).
_NOT_ABOUT_RESOURCES = ["E3010", "E3019", "W1020", "I1003", "I3010", "I3011", "I3013", "I3037", "I3042"]


def _flat(document: Document) -> Document:
    """Bring attributes up, as numbers and objects where their texts are such."""
    attributes = document.pop("Attributes", {})
    return {**document, **{name: _value(text) for name, text in attributes.items()}}


def _value(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return text


def _parsed(*names: str) -> Callable[[Document], Document]:
    return lambda document: {name: json.loads(value) if name in names else value for name, value in document.items()}


def _renamed(**names: str) -> Callable[[Document], Document]:
    return lambda document: {names.get(name, name): value for name, value in document.items()}


def _table(document: Document) -> Document:
    keys = {"HASH": document.pop("HashKey", None), "RANGE": document.pop("RangeKey", None)}
    schema = [{"AttributeName": name, "KeyType": kind} for kind, name in keys.items() if name]
    made: Document = {"KeySchema": schema, **document}
    for index in made.get("LocalSecondaryIndexes", []):
        if len(index["KeySchema"]) == 1:  # Pulumi leaves the table's own out
            index["KeySchema"].insert(0, schema[0])
    if stream := made.pop("StreamSpecification", None):
        made["StreamSpecification"] = {"StreamViewType": stream["StreamViewType"]}
    if encryption := made.pop("SSESpecification", None):
        made["SSESpecification"] = {
            ("SSEEnabled" if name == "Enabled" else name): value for name, value in encryption.items()
        }
        if "KMSMasterKeyId" in made["SSESpecification"]:
            made["SSESpecification"]["SSEType"] = "KMS"
    return made


def _kinesis(document: Document) -> Document:
    encryption = {name: document.pop(name) for name in ("EncryptionType", "KeyId") if name in document}
    return {**_renamed(StreamName="Name")(document), **({"StreamEncryption": encryption} if encryption else {})}


def _function(document: Document) -> Document:
    return {**document, "Code": {"ZipFile": "pass"}}


def _layer(document: Document) -> Document:
    return {**document, "Content": {"S3Bucket": "made-of-an-archive", "S3Key": "layer.zip"}}


def _mapping(document: Document) -> Document:
    if "StartingPositionTimestamp" in document:
        document["StartingPositionTimestamp"] = document["StartingPositionTimestamp"].timestamp()
    return document


def _bucket_part(name: str, *keys: str) -> Callable[[Document], Document]:
    def convert(document: Document) -> Document:
        rest = {key: value for key, value in document.items() if key != "Bucket"}
        return {"BucketName": document["Bucket"], name: {keys[0]: rest["Rules"]} if keys else rest}

    return convert


def _lifecycle(document: Document) -> Document:
    rules = [
        {
            "Id": rule["ID"],
            "Status": rule["Status"],
            **({"Prefix": rule["Filter"]["Prefix"]} if rule.get("Filter", {}).get("Prefix") else {}),
            **({"ExpirationInDays": rule["Expiration"]["Days"]} if "Days" in rule.get("Expiration", {}) else {}),
        }
        for rule in document["Rules"]
    ]
    return {"BucketName": document["Bucket"], "LifecycleConfiguration": {"Rules": rules}}


def _policy_of_queues(document: Document) -> Document:
    return {"Queues": [document["QueueUrl"]], "PolicyDocument": json.loads(document["Policy"])}


def _rule(document: Document) -> Document:
    pattern = document.get("EventPattern")
    return {**document, **({"EventPattern": json.loads(pattern)} if pattern else {})}


def _archive(document: Document) -> Document:
    return _renamed(EventSourceArn="SourceArn")(_rule(document))


def _target(document: Document) -> Document:
    """Write a target as a rule has it: CloudFormation has no resource of its own for one."""
    targets = [{name: value for name, value in document.items() if name not in {"Rule", "EventBusName"}}]
    return {
        "EventBusName": document.get("EventBusName", "default"),
        "EventPattern": {"source": ["unknown"]},
        "Targets": [{"Id": "target", **each} for each in targets],
    }


@dataclass(frozen=True)
class Template:
    """The CloudFormation type of a Pulumi type, and how its members get there."""

    type: str
    convert: Callable[[Document], Document] = lambda document: document


#: Pulumi types whose CloudFormation type has another name, or other members than the API.
_DIFFERENT: Mapping[str, Template] = {
    "aws:apigatewayv2/api:Api": Template("AWS::ApiGatewayV2::Api"),
    "aws:apigatewayv2/authorizer:Authorizer": Template("AWS::ApiGatewayV2::Authorizer"),
    "aws:cloudwatch/eventApiDestination:EventApiDestination": Template("AWS::Events::ApiDestination"),
    "aws:cloudwatch/eventArchive:EventArchive": Template("AWS::Events::Archive", _archive),
    "aws:cloudwatch/eventConnection:EventConnection": Template("AWS::Events::Connection"),
    "aws:cloudwatch/eventBus:EventBus": Template("AWS::Events::EventBus"),
    "aws:cloudwatch/eventRule:EventRule": Template("AWS::Events::Rule", _rule),
    "aws:cloudwatch/eventTarget:EventTarget": Template("AWS::Events::Rule", _target),
    "aws:cloudwatch/logGroup:LogGroup": Template(
        "AWS::Logs::LogGroup", _renamed(logGroupName="LogGroupName", retentionInDays="RetentionInDays")
    ),
    "aws:cloudwatch/metricAlarm:MetricAlarm": Template("AWS::CloudWatch::Alarm"),
    "aws:dynamodb/table:Table": Template("AWS::DynamoDB::Table", _table),
    "aws:iam/policy:Policy": Template(
        "AWS::IAM::ManagedPolicy",
        lambda document: {
            **_renamed(PolicyName="ManagedPolicyName")(document),
            "PolicyDocument": json.loads(document["PolicyDocument"]),
        },
    ),
    "aws:iam/role:Role": Template("AWS::IAM::Role", _parsed("AssumeRolePolicyDocument")),
    "aws:iam/rolePolicy:RolePolicy": Template("AWS::IAM::RolePolicy", _parsed("PolicyDocument")),
    "aws:kinesis/stream:Stream": Template("AWS::Kinesis::Stream", _kinesis),
    "aws:lambda/eventSourceMapping:EventSourceMapping": Template("AWS::Lambda::EventSourceMapping", _mapping),
    "aws:lambda/function:Function": Template("AWS::Lambda::Function", _function),
    "aws:lambda/layerVersion:LayerVersion": Template("AWS::Lambda::LayerVersion", _layer),
    "aws:lambda/permission:Permission": Template(
        "AWS::Lambda::Permission",
        lambda document: {name: value for name, value in document.items() if name != "StatementId"},
    ),
    "aws:s3/bucket:Bucket": Template("AWS::S3::Bucket", _renamed(Bucket="BucketName")),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": Template("AWS::S3::Bucket", _lifecycle),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": Template(
        "AWS::S3::Bucket", _bucket_part("OwnershipControls", "Rules")
    ),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": Template(
        "AWS::S3::Bucket", _bucket_part("PublicAccessBlockConfiguration")
    ),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": Template(
        "AWS::S3::Bucket",
        lambda document: {
            "BucketName": document["Bucket"],
            "BucketEncryption": {
                "ServerSideEncryptionConfiguration": [
                    _renamed(ApplyServerSideEncryptionByDefault="ServerSideEncryptionByDefault")(rule)
                    for rule in document["Rules"]
                ]
            },
        },
    ),
    "aws:secretsmanager/secret:Secret": Template(
        "AWS::SecretsManager::Secret",
        lambda document: {name: value for name, value in document.items() if name != "RecoveryWindowInDays"},
    ),
    "aws:sesv2/emailIdentity:EmailIdentity": Template("AWS::SES::EmailIdentity"),
    "aws:sfn/stateMachine:StateMachine": Template(
        "AWS::StepFunctions::StateMachine",
        _renamed(
            name="StateMachineName",
            definition="DefinitionString",
            roleArn="RoleArn",
            type="StateMachineType",
            loggingConfiguration="LoggingConfiguration",
            tracingConfiguration="TracingConfiguration",
        ),
    ),
    "aws:sns/topic:Topic": Template("AWS::SNS::Topic", lambda document: _renamed(Name="TopicName")(_flat(document))),
    "aws:sns/topicSubscription:TopicSubscription": Template("AWS::SNS::Subscription", _flat),
    "aws:sqs/queue:Queue": Template("AWS::SQS::Queue", _flat),
    "aws:sqs/queuePolicy:QueuePolicy": Template("AWS::SQS::QueuePolicy", _policy_of_queues),
}


def _indexes(indexes: list[Mapping[str, Any]]) -> list[Document]:
    return [
        {
            "IndexName": each["name"],
            "KeySchema": [
                {"AttributeName": each[name], "KeyType": kind}
                for name, kind in (("hashKey", "HASH"), ("rangeKey", "RANGE"))
                if each.get(name)
            ]
            + [_pascal_keys(key) for key in each.get("keySchemas", [])],
            "Projection": {
                name: each[wire]
                for wire, name in (("projectionType", "ProjectionType"), ("nonKeyAttributes", "NonKeyAttributes"))
                if each.get(wire)
            },
        }
        for each in indexes
    ]


#: Members that a deployment on this machine does not take, and that CloudFormation writes differently than Pulumi.
_MORE: Mapping[str, Members] = {
    "aws:dynamodb/table:Table": {
        "globalSecondaryIndexes": Member("GlobalSecondaryIndexes", encode=_indexes),
        "localSecondaryIndexes": Member("LocalSecondaryIndexes", encode=_indexes),
        "readCapacity": "ProvisionedThroughput.ReadCapacityUnits",
        "writeCapacity": "ProvisionedThroughput.WriteCapacityUnits",
    },
}

#: Types that CloudFormation has no resource for, and members that only Pulumi's provider or a deployment here reads.
WITHOUT_A_SCHEMA = {
    "aws:dynamodb/kinesisStreamingDestination:KinesisStreamingDestination": "a property of AWS::DynamoDB::Table",
    "aws:secretsmanager/secretVersion:SecretVersion": "a secret's value is a property of AWS::SecretsManager::Secret",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": "an attachment is a property of AWS::IAM::Role",
    "aws:cloudwatch/dashboard:Dashboard": "its body is checked by itself",
}


def schema_of(resource_type: str) -> Template:
    """Find the CloudFormation type of a Pulumi type, by the table or by its name.

    Raises:
        LookupError: There is none; the message says where to declare it.
    """
    if resource_type in _DIFFERENT:
        return _DIFFERENT[resource_type]
    module, name = re.split("[:/]", resource_type)[1], resource_type.rpartition(":")[2]
    for known in PROVIDER_SCHEMA_MANAGER.get_resource_types(REGION):
        if known.lower() == f"aws::{module}::{name}".lower():
            return Template(known)
    raise LookupError(
        f"{resource_type} has no CloudFormation type of its name: declare it in {__name__}, in _DIFFERENT, or in "
        "WITHOUT_A_SCHEMA with the reason"
    )


def _document(resource: Registration) -> Document:
    """Write a resource's inputs in AWS's names; an input that is not deployed on this machine is taken by its own."""
    declared = RESOURCES.get(resource.type)
    members = {**(declared.members if declared else {}), **_MORE.get(resource.type, {})}
    document: Document = {}
    for name, value in resource.inputs.items():
        if name == "code":
            continue  # an archive, which is no text
        try:
            document = _merged(document, to_document(members, {name: value}))
        except NotUsed:
            document[_pascal(name)] = _pascal_keys(value)
    return document


def _merged(one: Document, other: Document) -> Document:
    """Join documents whose structures may have members from several inputs."""
    both = {
        name: _merged(one[name], other[name])
        for name in one.keys() & other.keys()
        if isinstance(one[name], dict) and isinstance(other[name], dict)
    }
    return {**one, **other, **both}


def _pascal(name: str) -> str:
    return name[0].upper() + name[1:]


def _pascal_keys(value: Any) -> Any:
    match value:
        case Mapping():
            return {_pascal(name): _pascal_keys(member) for name, member in value.items()}
        case list():
            return [_pascal_keys(each) for each in value]
        case _:
            return value


def findings(resources: Iterable[Registration]) -> Mapping[str, list[str]]:
    """List cfn-lint's findings about resources of one program or several, by URN: rule, path and message.

    Resources that are described alike are judged once: cfn-lint takes a hundredth of a second for each.
    """
    alike: dict[str, list[str]] = {}
    for each in resources:
        if each.type not in WITHOUT_A_SCHEMA:
            schema = schema_of(each.type)
            described = {"Type": schema.type, "Properties": schema.convert(_document(each))}
            alike.setdefault(json.dumps(described, sort_keys=True, default=str), []).append(each.urn)
    numbered = {f"R{number}": text for number, text in enumerate(alike)}
    template = {"Resources": {name: json.loads(text) for name, text in numbered.items()}}
    settings = ManualArgs(regions=[REGION], include_checks=["I"], ignore_checks=_NOT_ABOUT_RESOURCES)
    found: dict[str, list[str]] = {}
    for each in lint(json.dumps(template), config=settings):
        path = [str(part) for part in each.path or []]
        # A message may list every name that would be right.
        line = f"{each.rule.id} {'/'.join(path[3:])}: {each.message[:300]}"
        for urn in alike[numbered[path[1]]] if len(path) > 1 else ["the template"]:
            if line not in found.setdefault(urn, []):
                found[urn].append(line)
    return found
