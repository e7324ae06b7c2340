"""`PythonFunction`: a Lambda function with its role and its log group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pulumi
import pulumi_aws as aws

from aws_semantics.limits import FUNCTION_MEMORY, FUNCTION_TIMEOUT, LOG_RETENTION_DAYS
from components.access import Access, Statement, allow, merged_environment, policy_document, trust
from components.import_contract import check_import
from components.package import handler_package
from components.refusal import Refused


class PythonFunction(pulumi.ComponentResource):
    """A handler module on Lambda: python3.13 on arm64, JSON logs in a log group of its own, least privilege.

    Args:
        entry_point: Module and function, e.g. `handlers.welcome_email.handler`.
        access: What the function may do, and the variables that come with it.
        statements: Further statements for its role.
        environment: Further variables.
        timeout: Seconds an invocation may run, 1 to 900.
        memory_size: MB, 128 to 10,240; CPU grows with it.
        log_retention_in_days: One of the periods that CloudWatch Logs takes.

    Attributes:
        function: The `aws.lambda_.Function`.
        role: Its `aws.iam.Role`.
        policy: The role's only policy, an `aws.iam.RolePolicy`.
        log_group: Its `aws.cloudwatch.LogGroup`.

    Raises:
        Refused: A value is out of range, or two accesses set the same variable.
        ImportContractBroken: The module does more than define itself when it is imported.

    Example:
        PythonFunction("nightly", entry_point="handlers.welcome_email.handler", access=[mail.send_access()])
    """

    def __init__(
        self,
        name: str,
        *,
        entry_point: str,
        access: Sequence[Access] = (),
        statements: Sequence[Statement] = (),
        environment: Mapping[str, pulumi.Input[str]] | None = None,
        timeout: int = 30,
        memory_size: int = 256,
        log_retention_in_days: int = 30,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        module, _, _ = entry_point.rpartition(".")
        check_function(name, timeout=timeout, memory_size=memory_size, log_retention_in_days=log_retention_in_days)
        check_import(module)
        variables = merged_environment(name, access, environment or {})
        super().__init__("weir:index:PythonFunction", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)

        self.log_group = aws.cloudwatch.LogGroup(name, retention_in_days=log_retention_in_days, opts=child)
        self.role = aws.iam.Role(name, assume_role_policy=trust("lambda.amazonaws.com"), opts=child)
        logs = allow(["logs:CreateLogStream", "logs:PutLogEvents"], pulumi.Output.concat(self.log_group.arn, ":*"))
        granted = [statement for each in access for statement in each.statements]
        self.policy = aws.iam.RolePolicy(
            name, role=self.role.name, policy=policy_document([logs, *granted, *statements]), opts=child
        )
        self.function = aws.lambda_.Function(
            name,
            role=self.role.arn,
            runtime="python3.13",
            architectures=["arm64"],
            handler=entry_point,
            code=handler_package(module),
            timeout=timeout,
            memory_size=memory_size,
            environment={"variables": variables} if variables else None,
            logging_config={"log_format": "JSON", "log_group": self.log_group.name},
            # The first invocation may follow at once, and then needs its permissions and its log group.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.policy]),
        )
        self.register_outputs({"functionName": self.function.name})


def check_function(name: str, *, timeout: int, memory_size: int, log_retention_in_days: int) -> None:
    """Refuse what Lambda or CloudWatch Logs would refuse, before anything is made.

    Raises:
        Refused: See `PythonFunction`.
    """
    if timeout not in FUNCTION_TIMEOUT:
        raise Refused(f"{name}: timeout={timeout} is not what Lambda takes: choose {FUNCTION_TIMEOUT} seconds")
    if memory_size not in FUNCTION_MEMORY:
        raise Refused(f"{name}: memory_size={memory_size} is not what Lambda takes: choose {FUNCTION_MEMORY} MB")
    if log_retention_in_days not in LOG_RETENTION_DAYS:
        raise Refused(
            f"{name}: log_retention_in_days={log_retention_in_days} is not a period that CloudWatch Logs takes: "
            f"choose one of {', '.join(map(str, LOG_RETENTION_DAYS))}"
        )
