"""`kept_secret`: a value of the stack's configuration, kept in Secrets Manager for one function to read."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from components.access import Access, secret_access


def kept_secret(
    name: str, value: pulumi.Input[str] | None, variable: str, *, opts: pulumi.ResourceOptions | None = None
) -> Access:
    """Keep a value in Secrets Manager, and return the permission to read it.

    The value stays a secret in Pulumi's state, and no function's environment has it: there is the secret's ARN alone.

    Args:
        name: Name of the secret.
        value: The value, usually one that was set with `pulumi config set --secret`; without one nothing is made, and
            the access is empty.
        variable: The environment variable that holds the ARN, as `handlers.cdc.secrets.secret` takes it.
        opts: Options of the secret and its value.
    """
    if value is None:
        return Access([])
    secret = aws.secretsmanager.Secret(name, recovery_window_in_days=7, opts=opts)
    version = aws.secretsmanager.SecretVersion(name, secret_id=secret.id, secret_string=value, opts=opts)
    # The id of a secret is its ARN; that of its value is known once there is a value.
    return secret_access(version.secret_id, variable)
