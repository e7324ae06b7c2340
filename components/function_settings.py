"""`FunctionSettings`: how a Lambda function runs, as one value that a stream hands to each of its consumers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pulumi

from aws_semantics.limits import FUNCTION_LAYERS, FUNCTION_MEMORY, FUNCTION_TIMEOUT, LOG_RETENTION_DAYS
from components.access import Statement, allow, decrypt
from components.python_layer import PythonLayer
from components.refusal import Refused
from handlers.cdc.metrics import ALARMED_ONLY, VARIABLE


@dataclass(frozen=True, kw_only=True)
class Vpc:
    """The subnets and security groups of a function that reaches into a VPC.

    Such a function reaches AWS and the internet only through a NAT gateway or endpoints of the VPC
    (https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc-internet.html).

    Attributes:
        subnet_ids: Private subnets, in at least two availability zones for a function that must stay up.
        security_group_ids: Security groups of the function's network interfaces.
    """

    subnet_ids: Sequence[pulumi.Input[str]]
    security_group_ids: Sequence[pulumi.Input[str]]


@dataclass(frozen=True, kw_only=True)
class FunctionSettings:
    """The settings of a function, apart from its code and its permissions.

    Attributes:
        timeout: Seconds an invocation may run, 1 to 900.
        memory_size: MB, 128 to 10,240; CPU grows with it.
        log_retention_in_days: Days that logs are kept, one of the periods that CloudWatch Logs takes.
        metrics: Record all metrics of the namespace `Weir`, which CloudWatch charges for by metric and function
            (docs/guides/alarms.md). Without, only those that an alarm watches.
        tracing: Record a trace of each invocation in X-Ray.
        layers: ARNs of layer versions, at most five, that exist already.
        requirements: Its third-party packages: the path of a hashed lock, which becomes a layer of its own, or a
            `PythonLayer` that several functions share. It counts as a layer.
        vpc: The VPC that the function reaches into; `None` for none.
        permissions_boundary: ARN of the policy that bounds the function's role, where an organisation demands one.
        kms_key_arn: A customer managed key for the function's variables and its logs. Its key policy must let
            `logs.<region>.amazonaws.com` use it
            (https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html).
        tags: Tags of the function, its role and its log group.

    Example:
        >>> FunctionSettings(timeout=901).check("search-index")
        Traceback (most recent call last):
        ...
        components.refusal.Refused: search-index: timeout=901 is not what Lambda takes: choose 1 to 900 seconds
    """

    timeout: int = 30
    memory_size: int = 256
    log_retention_in_days: int = 30
    metrics: bool = True
    tracing: bool = False
    layers: Sequence[pulumi.Input[str]] = ()
    requirements: PythonLayer | str | None = None
    vpc: Vpc | None = None
    permissions_boundary: pulumi.Input[str] | None = None
    kms_key_arn: pulumi.Input[str] | None = None
    tags: Mapping[str, pulumi.Input[str]] | None = None

    def with_own(
        self, *, timeout: int | None, memory_size: int | None, requirements: PythonLayer | str | None
    ) -> FunctionSettings:
        """Return these settings with a consumer's own timeout, memory and packages, where it has some."""
        return replace(
            self,
            timeout=self.timeout if timeout is None else timeout,
            memory_size=self.memory_size if memory_size is None else memory_size,
            requirements=self.requirements if requirements is None else requirements,
        )

    def check(self, name: str) -> None:
        """Refuse what Lambda or CloudWatch Logs would refuse, before any resource exists.

        Args:
            name: The function's name, for the message.

        Raises:
            Refused: A value is out of range.
        """
        if self.timeout not in FUNCTION_TIMEOUT:
            raise Refused(f"{name}: timeout={self.timeout} is not what Lambda takes: choose {FUNCTION_TIMEOUT} seconds")
        if self.memory_size not in FUNCTION_MEMORY:
            raise Refused(
                f"{name}: memory_size={self.memory_size} is not what Lambda takes: choose {FUNCTION_MEMORY} MB"
            )
        if self.log_retention_in_days not in LOG_RETENTION_DAYS:
            raise Refused(
                f"{name}: log_retention_in_days={self.log_retention_in_days} is not a period that CloudWatch Logs "
                f"takes: choose one of {', '.join(map(str, LOG_RETENTION_DAYS))}"
            )
        layers = len(self.layers) + (self.requirements is not None)
        if layers > FUNCTION_LAYERS:
            raise Refused(
                f"{name}: {layers} layers, and a function takes {FUNCTION_LAYERS}: put the content of several into one"
            )
        if self.vpc is not None and not (self.vpc.subnet_ids and self.vpc.security_group_ids):
            raise Refused(
                f"{name}: vpc has no subnets or no security groups, and a function joins a VPC only with both: "
                "name at least one of each"
            )

    def statements(self) -> list[Statement]:
        """Return the permissions that the settings need beyond those of the function's work."""
        # Lambda decrypts the variables as the function's role.
        needed: list[Statement] = [*decrypt(self.kms_key_arn)]
        if self.tracing:
            # Neither call names a resource: AWS defines none for them.
            needed.append(allow(["xray:PutTraceSegments", "xray:PutTelemetryRecords"], "*"))
        if self.vpc is not None:
            # Lambda creates and deletes the interfaces, whose ids nobody knows before, and describes all of them.
            needed.append(
                allow(
                    [
                        "ec2:CreateNetworkInterface",
                        "ec2:DescribeNetworkInterfaces",
                        "ec2:DescribeSubnets",
                        "ec2:DeleteNetworkInterface",
                        "ec2:AssignPrivateIpAddresses",
                        "ec2:UnassignPrivateIpAddresses",
                    ],
                    "*",
                )
            )
        return needed

    def environment(self) -> Mapping[str, str]:
        """Return the variables that the settings need."""
        return {} if self.metrics else {VARIABLE: ALARMED_ONLY}

    def arguments(self) -> Mapping[str, Any]:
        """Return the function's arguments, without the settings that are off."""
        given: dict[str, Any] = {"timeout": self.timeout, "memory_size": self.memory_size}
        if self.kms_key_arn is not None:
            given["kms_key_arn"] = self.kms_key_arn
        if self.tags:
            given["tags"] = self.tags
        if self.tracing:
            given["tracing_config"] = {"mode": "Active"}
        if self.vpc is not None:
            given["vpc_config"] = {
                "subnet_ids": list(self.vpc.subnet_ids),
                "security_group_ids": list(self.vpc.security_group_ids),
            }
        return given
