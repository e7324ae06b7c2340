"""Errors that a client of the endpoint sees, each in the form of the client's protocol."""

from __future__ import annotations

import json
from xml.sax.saxutils import escape

#: Status, headers and body of an answer.
Answer = tuple[int, dict[str, str], bytes]


class AwsError(Exception):
    """An error answer, which boto3 raises as `ClientError`.

    Attributes:
        code: The error's code, e.g. `ResourceNotFoundException`.
        status: The HTTP status.
    """

    def __init__(self, code: str, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class NotSimulated(AwsError):
    """An error for something that the endpoint does not simulate: it does nothing, and says so."""

    def __init__(self, message: str) -> None:
        # SDKs do not retry the status 501.
        super().__init__("NotSimulated", message, status=501)


def invalid_parameter(message: str) -> AwsError:
    """Make Lambda's error for a wrong parameter.

    Errors against the API's model have another code than errors that the service itself finds. A missing starting
    position is one of the latter; its message differs by the full stop (docs/aws-semantics.md, ESM-REFUSE-7).
    """
    by_model = message.startswith("1 validation error detected") and not message.endswith(".")
    return AwsError("ValidationException" if by_model else "InvalidParameterValueException", message)


def render(error: AwsError, protocol: str, request_id: str) -> Answer:
    """Write an error as a service does.

    Args:
        error: The error.
        protocol: botocore's name of the service's protocol.
        request_id: The id of the request.
    """
    message = str(error)
    match protocol:
        case "query":
            text = (
                f"<ErrorResponse><Error><Type>Sender</Type><Code>{escape(error.code)}</Code>"
                f"<Message>{escape(message)}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
            )
            return error.status, {"content-type": "text/xml"}, text.encode()
        case "rest-xml":
            text = (
                f"<Error><Code>{escape(error.code)}</Code><Message>{escape(message)}</Message>"
                f"<RequestId>{request_id}</RequestId></Error>"
            )
            return error.status, {"content-type": "application/xml"}, text.encode()
        case _:
            body = json.dumps({"__type": error.code, "message": message, "Message": message}).encode()
            return error.status, {"content-type": "application/json", "x-amzn-errortype": error.code}, body
