"""`PythonFunction`: a Lambda function with its role and its log group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pulumi
import pulumi_aws as aws

from components.access import Access, Statement, allow, merged_environment, policy_document, trust
from components.function_settings import FunctionSettings
from components.import_contract import check_import
from components.names import FUNCTION, check_name
from components.package import handler_package
from components.python_layer import PythonLayer
from components.python_runtime import ARCHITECTURE, PYTHON_VERSION


class PythonFunction(pulumi.ComponentResource):
    """A handler module on Lambda: python3.13 on arm64, JSON logs in a log group of its own, least privilege.

    Args:
        entry_point: Module and function, e.g. `handlers.welcome_email.handler`.
        access: The function's permissions, and the variables that come with them.
        statements: Further statements for its role.
        environment: Further variables.
        settings: How it runs: timeout, memory, logs, tracing, layers, VPC.
        further_modules: Handler modules that it imports by name while it runs.
        dead_letters: ARN of the queue of asynchronous calls that failed; without one Lambda drops them.

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
        settings: FunctionSettings | None = None,
        further_modules: Sequence[str] = (),
        dead_letters: pulumi.Input[str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        module, _, _ = entry_point.rpartition(".")
        settings = settings or FunctionSettings()
        settings.check(name)
        check_name(name, FUNCTION)
        check_import(module)
        variables = merged_environment(name, access, {**settings.environment(), **(environment or {})})
        super().__init__("weir:index:PythonFunction", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        layers = [*settings.layers, *self._packages(name, settings, child)]

        self.log_group = aws.cloudwatch.LogGroup(
            name,
            retention_in_days=settings.log_retention_in_days,
            kms_key_id=settings.kms_key_arn,
            tags=settings.tags,
            opts=child,
        )
        self.role = aws.iam.Role(
            name,
            assume_role_policy=trust("lambda.amazonaws.com"),
            permissions_boundary=settings.permissions_boundary,
            tags=settings.tags,
            opts=child,
        )
        logs = allow(["logs:CreateLogStream", "logs:PutLogEvents"], pulumi.Output.concat(self.log_group.arn, ":*"))
        parks = [] if dead_letters is None else [allow(["sqs:SendMessage"], dead_letters)]
        granted = [statement for each in access for statement in each.statements]
        self.policy = aws.iam.RolePolicy(
            name,
            role=self.role.name,
            policy=policy_document([logs, *settings.statements(), *granted, *statements, *parks]),
            opts=child,
        )
        self.function = aws.lambda_.Function(
            name,
            role=self.role.arn,
            runtime=f"python{PYTHON_VERSION}",
            architectures=[ARCHITECTURE],
            handler=entry_point,
            code=handler_package(module, further_modules),
            environment={"variables": variables} if variables else None,
            logging_config={"log_format": "JSON", "log_group": self.log_group.name},
            layers=layers or None,
            dead_letter_config=None if dead_letters is None else {"target_arn": dead_letters},
            **settings.arguments(),
            # The first invocation may follow at once, and then needs its permissions and its log group.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.policy]),
        )
        self.register_outputs({"functionName": self.function.name})

    @staticmethod
    def _packages(name: str, settings: FunctionSettings, opts: pulumi.ResourceOptions) -> list[pulumi.Input[str]]:
        match settings.requirements:
            case None:
                return []
            case PythonLayer() as shared:
                return [shared.arn]
            case lock:
                return [PythonLayer(name, requirements=lock, opts=opts).arn]
