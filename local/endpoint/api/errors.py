"""Errors that a client of the endpoint sees, each in the form of the protocol it speaks."""

from __future__ import annotations

import json
from xml.sax.saxutils import escape

#: Status, headers and body of an answer.
Answer = tuple[int, dict[str, str], bytes]


class AwsError(Exception):
    """An answer that boto3 raises as `ClientError`.

    Attributes:
        code: The error's code, e.g. `ResourceNotFoundException`.
        status: The HTTP status.
    """

    def __init__(self, code: str, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class NotSimulated(AwsError):
    """The endpoint cannot do what AWS would, so it does nothing and says so."""

    def __init__(self, message: str) -> None:
        # 501 is no status that SDKs retry.
        super().__init__("NotSimulated", message, status=501)


def invalid_parameter(message: str) -> AwsError:
    """How Lambda refuses a parameter.

    What its front finds out by the API's model has another code than what the service itself finds out; to the latter
    belongs the missing starting position, whose message differs by its full stop (docs/aws-semantics.md, ESM-REFUSE-7).
    """
    by_model = message.startswith("1 validation error detected") and not message.endswith(".")
    return AwsError("ValidationException" if by_model else "InvalidParameterValueException", message)


def render(error: AwsError, protocol: str) -> Answer:
    """The error as a service with this protocol (a botocore name) writes it."""
    message = str(error)
    match protocol:
        case "query":
            text = (
                f"<ErrorResponse><Error><Type>Sender</Type><Code>{escape(error.code)}</Code>"
                f"<Message>{escape(message)}</Message></Error><RequestId>local</RequestId></ErrorResponse>"
            )
            return error.status, {"content-type": "text/xml"}, text.encode()
        case "rest-xml":
            text = f"<Error><Code>{escape(error.code)}</Code><Message>{escape(message)}</Message></Error>"
            return error.status, {"content-type": "application/xml"}, text.encode()
        case _:
            body = json.dumps({"__type": error.code, "message": message, "Message": message}).encode()
            return error.status, {"content-type": "application/json", "x-amzn-errortype": error.code}, body
