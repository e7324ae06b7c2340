"""Parameter Store: what AWS refuses and ministack does not."""

from __future__ import annotations

from collections.abc import Callable

from local.endpoint.api.aws_call import AwsCall
from local.endpoint.api.errors import AwsError
from local.endpoint.routes import Routes

#: Characters of a parameter of the standard tier
#: (https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html).
STANDARD_CHARACTERS = 4096

#: Parameter Store's AWS managed key, which encrypts if no other is named.
AWS_MANAGED_KEY = "alias/aws/ssm"


def parameter_routes(key: Callable[[str], str | None]) -> Routes:
    """Make the tables of Parameter Store.

    Args:
        key: Returns the ARN of a KMS key by its id, ARN or alias; `None` if there is no such key.
    """

    def check_value(call: AwsCall) -> None:
        if len(call.parameters.get("Value", "")) > STANDARD_CHARACTERS:
            message = (
                f"Standard tier parameters support a maximum parameter value of {STANDARD_CHARACTERS} characters. To "
                "create a larger parameter value, upgrade the parameter to use the advanced-parameter tier. For more "
                "information, see https://docs.aws.amazon.com/systems-manager/latest/userguide/"
                "parameter-store-advanced-parameters.html"
            )
            raise AwsError("ValidationException", message)

    def check_key(call: AwsCall) -> None:
        named = call.parameters.get("KeyId")
        if not named:
            return
        if call.parameters.get("Type") != "SecureString":
            raise AwsError("ValidationException", "KeyId is required for SecureString type parameters only.")
        if named != AWS_MANAGED_KEY and key(named) is None:
            raise AwsError("InvalidKeyId", f"Invalid keyId {named}")

    return Routes(checked={"ssm:PutParameter": [check_value, check_key]})
