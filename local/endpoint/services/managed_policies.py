"""Managed policies that roles can have: the account's own, and some of AWS's."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from local.endpoint.api.aws_call import AwsCall
from local.endpoint.api.errors import AwsError, NotSimulated
from local.endpoint.clients import error_code

_AWS = "arn:aws:iam::aws:policy/"

#: AWS's managed policies whose documents in ministack were compared with
#: https://docs.aws.amazon.com/aws-managed-policy/latest/reference/policy-list.html.
SIMULATED = (
    "AWSXRayDaemonWriteAccess",
    "AdministratorAccess",
    "service-role/AWSLambdaBasicExecutionRole",
    "service-role/AWSLambdaDynamoDBExecutionRole",
    "service-role/AWSLambdaKinesisExecutionRole",
    "service-role/AWSLambdaRole",
    "service-role/AWSLambdaSQSQueueExecutionRole",
    "service-role/AWSLambdaVPCAccessExecutionRole",
)


def check_policy(call: AwsCall) -> None:
    """Refuse a managed policy of AWS's whose document the endpoint does not have.

    Args:
        call: A call of IAM with a PolicyArn.

    Raises:
        NotSimulated: Names the policy.
    """
    arn = str(call.parameters["PolicyArn"])
    if arn.startswith(_AWS) and arn.removeprefix(_AWS) not in SIMULATED:
        raise NotSimulated(
            f"the local endpoint does not know what AWS's managed policy {arn!r} allows, only {', '.join(SIMULATED)}: "
            "give the role its statements as a policy of its own here, or run this against an AWS account"
        )


def check_attachable(call: AwsCall, *, iam: Any) -> None:
    """Refuse to attach a policy that does not exist; ministack would attach it.

    Args:
        call: An AttachRolePolicy.
        iam: A boto3 client of IAM.

    Raises:
        AwsError: In AWS's words.
    """
    arn = str(call.parameters["PolicyArn"])
    try:
        iam.get_policy(PolicyArn=arn)
    except ClientError as missing:
        if error_code(missing) != "NoSuchEntity":
            raise
        message = f"Policy {arn} does not exist or is not attachable."
        raise AwsError("NoSuchEntity", message, status=404) from missing
