"""`PipeServices`: calls the enrichments and targets of pipes, with the clients that it is given."""

from __future__ import annotations

import http.client
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from aws_semantics.limits import EXECUTION_INPUT_CHARACTERS, INVOCATION_PAYLOAD_BYTES, PUT_EVENTS_BYTES
from local.endpoint.clients import error_code
from local.engine.pipes.answers import Exchange, Refused
from local.engine.pipes.requests import (
    Entry,
    HttpRequest,
    MakeHttpRequest,
    PipeEvent,
    bus_entries,
    document_of,
    http_parameters,
    identifier_of,
    queue_entries,
    text_of,
    topic_entries,
)
from local.engine.pipes.sources import EventSource
from local.engine.pipes.targets import Service, waits_for_answer

#: Seconds after which a request to an API destination times out
#: (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-api-destinations.html).
API_DESTINATION_SECONDS = 5.0

_THROTTLED_STATUS = 429
_THROTTLED_CODES = (
    "ProvisionedThroughputExceededException",
    "RequestThrottled",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
)


class PipeServices:
    """The services that pipes call.

    Args:
        client: Makes a boto3 client of a service.
        queue_url: Returns the URL of the queue with this ARN.
        api_request: Makes requests to API destinations.
    """

    def __init__(
        self, client: Callable[[str], Any], queue_url: Callable[[str], str], *, api_request: MakeHttpRequest
    ) -> None:
        self._functions = client("lambda")
        self._queues = client("sqs")
        self._topics = client("sns")
        self._buses = client("events")
        self._machines = client("stepfunctions")
        self._queue_url = queue_url
        self._api_request = api_request

    def enrich(
        self, arn: str, service: Service, messages: Sequence[PipeEvent], parameters: Mapping[str, Any]
    ) -> Exchange:
        """Call an enrichment, and wait for its answer.

        Raises:
            Refused: It failed.
        """
        match service.kind:
            case "Lambda function":
                return self._invoke(arn, document_of(messages), wait=True)
            case "Step Functions state machine":
                return self._execute(arn, document_of(messages), wait=True)
            case _:
                return self._call_api(arn, messages[0], parameters.get("HttpParameters", {}))

    def send(
        self,
        arn: str,
        service: Service,
        messages: Sequence[PipeEvent],
        parameters: Mapping[str, Any],
        *,
        pipe_name: str,
        source: EventSource,
    ) -> Exchange:
        """Send a batch to a target.

        Raises:
            Refused: The target accepted none of it.
        """
        given: Mapping[str, Any] = parameters.get(service.parameters or "", {})
        wait = waits_for_answer(service, parameters)
        match service.kind:
            case "Lambda function":
                return self._invoke(arn, document_of(messages), wait=wait)
            case "Step Functions state machine":
                return self._execute(arn, document_of(messages), wait=wait)
            case "SQS queue":
                request = {"QueueUrl": self._queue_url(arn), "Entries": queue_entries(messages, given)}
                answer = _ask("sqs", self._queues.send_message_batch, request)
                return Exchange(request, answer, _failures(messages, answer.get("Failed", []), source))
            case "SNS topic":
                request = {"TopicArn": arn, "PublishBatchRequestEntries": topic_entries(messages)}
                answer = _ask("sns", self._topics.publish_batch, request)
                return Exchange(request, answer, _failures(messages, answer.get("Failed", []), source))
            case "event bus":
                entries = bus_entries(messages, given, pipe_name=pipe_name, source=source, bus_arn=arn)
                return self._put_events(messages, entries, source)
            case "API destination":
                return self._call_api(arn, messages[0], given)

    def _invoke(self, arn: str, payload: str, *, wait: bool) -> Exchange:
        request = {
            "FunctionName": arn,
            "InvocationType": "RequestResponse" if wait else "Event",
            "Payload": payload,
        }
        _check_size("lambda", request, len(payload.encode()), INVOCATION_PAYLOAD_BYTES)
        answer = _ask("lambda", self._functions.invoke, request)
        content = _parsed(answer["Payload"].read().decode())
        if "FunctionError" in answer:
            failed: Mapping[str, Any] = content if isinstance(content, Mapping) else {}
            raise Refused(
                failed.get("errorMessage", "the function failed"),
                service="lambda",
                status=answer["StatusCode"],
                request=request,
                response=content,
            )
        return Exchange(request, content, content)

    def _execute(self, arn: str, payload: str, *, wait: bool) -> Exchange:
        request = {"stateMachineArn": arn, "input": payload}
        _check_size("stepfunctions", request, len(payload), EXECUTION_INPUT_CHARACTERS)
        if not wait:
            started = _ask("stepfunctions", self._machines.start_execution, request)
            return Exchange(request, {"executionArn": started["executionArn"]})
        answer = _ask("stepfunctions", self._machines.start_sync_execution, request)
        members = ("executionArn", "status", "output", "error", "cause")
        ended = {name: answer[name] for name in members if name in answer}
        if answer["status"] != "SUCCEEDED":
            raise Refused(
                answer.get("cause") or answer.get("error") or f"the execution ended as {answer['status']}",
                service="stepfunctions",
                status=200,
                request=request,
                response=ended,
            )
        return Exchange(request, ended, _parsed(answer["output"]))

    def _put_events(self, messages: Sequence[PipeEvent], entries: Sequence[Entry], source: EventSource) -> Exchange:
        sent = [index for index, entry in enumerate(entries) if _is_event(entry)]
        failed = [{"Id": str(index)} for index in range(len(entries)) if index not in sent]
        request = {"Entries": [entries[index] for index in sent]}
        answer: Any = {"Entries": []}
        if sent:
            texts = [text for each in request["Entries"] for text in _texts(each)]
            _check_size("events", request, sum(len(text.encode()) for text in texts), PUT_EVENTS_BYTES)
            answer = _ask("events", self._buses.put_events, request)
            failed += [
                {"Id": str(index)}
                for index, result in zip(sent, answer["Entries"], strict=True)
                if result.get("ErrorCode")
            ]
        return Exchange({"Entries": list(entries)}, answer, _failures(messages, failed, source))

    def _call_api(self, arn: str, message: PipeEvent, parameters: Mapping[str, Any]) -> Exchange:
        name = arn.split("/")[1]
        request = self._api_request(name, http_parameters(message, parameters), text_of(message.payload))
        if request is None:
            raise Refused(f"there is no API destination {name}", service="events", status=404, request=None)
        asked = {"httpMethod": request.method, "url": request.url, "body": request.body}
        try:
            status, _, text = fetched(request)
        except (OSError, http.client.HTTPException, zlib.error) as lost:
            raise Refused(
                f"the API destination {name} did not answer: {lost}",
                service="events",
                status=0,
                request=asked,
            ) from lost
        if not 200 <= status < 300:
            raise Refused(
                f"the API destination {name} answered {status}",
                service="events",
                status=status,
                request=asked,
                response=text,
                throttled=status == _THROTTLED_STATUS,
                internal=status == _THROTTLED_STATUS,
            )
        return Exchange(asked, text, _parsed(text))


def _ask(service: str, operation: Callable[..., Any], request: Mapping[str, Any]) -> Any:
    try:
        answer = operation(**request)
    except ClientError as refused:
        metadata = refused.response.get("ResponseMetadata", {})
        status = metadata.get("HTTPStatusCode", 0)
        throttled = status == _THROTTLED_STATUS or error_code(refused) in _THROTTLED_CODES
        raise Refused(
            str(refused),
            service=service,
            status=status,
            request=request,
            request_id=metadata.get("RequestId", ""),
            response=dict(refused.response.get("Error", {})),
            throttled=throttled,
            internal=throttled or status >= 500,
        ) from refused
    except BotoCoreError as lost:
        raise Refused(str(lost), service=service, status=0, request=request, internal=True) from lost
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def _check_size(service: str, request: Mapping[str, Any], size: int, limit: int) -> None:
    """Refuse an input that is too large for the service; ministack accepts any size (§3.4)."""
    if size > limit:
        raise Refused(f"the input has {size} and {limit} are allowed", service=service, status=413, request=request)


def _texts(entry: Entry) -> list[str]:
    """Return the parts that count for an entry's size.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html#eb-putevent-size
    """
    return [entry["Source"], entry["DetailType"], entry["Detail"], *entry["Resources"]]


def _is_event(entry: Entry) -> bool:
    """Return whether PutEvents accepts an entry, which ministack does not check."""
    return bool(entry["Source"] and entry["DetailType"]) and isinstance(_parsed(entry["Detail"]), Mapping)


def _failures(
    messages: Sequence[PipeEvent], failed: Sequence[Mapping[str, Any]], source: EventSource
) -> dict[str, Any]:
    named = [identifier_of(messages[int(each["Id"])].event, source) for each in failed]
    return {"batchItemFailures": [{"itemIdentifier": each} for each in named]}


def fetched(request: HttpRequest) -> tuple[int, http.client.HTTPMessage, str]:
    """Call an API destination; return status, headers and body.

    Raises:
        OSError: It does not answer within the time of an API destination.
        http.client.HTTPException: Its answer is broken.
        zlib.error: Its body is not encoded as it says.
    """
    address = urlsplit(request.url)
    kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
    connection = kind(address.netloc, timeout=API_DESTINATION_SECONDS)
    try:
        path = f"{address.path or '/'}{'?' if address.query else ''}{address.query}"
        connection.request(request.method, path, body=request.body.encode(), headers=dict(request.headers))
        response = connection.getresponse()
        body = _decoded(response.read(), response.headers.get("content-encoding", ""))
        return response.status, response.headers, body.decode(errors="replace")
    finally:
        connection.close()


def _decoded(body: bytes, encodings: str) -> bytes:
    """Undo the encodings of a Content-Encoding header: gzip, zlib or raw deflate (PIPE-SHAPE-7).

    >>> _decoded(zlib.compress(b"{}"), "deflate"), _decoded(zlib.compress(b"{}")[2:-4], "deflate"), _decoded(b"{}", "")
    (b'{}', b'{}', b'{}')

    Raises:
        zlib.error: The body is not encoded so.
    """
    for encoding in reversed([each.strip().lower() for each in encodings.split(",")]):
        if encoding in ("gzip", "x-gzip"):
            body = zlib.decompress(body, zlib.MAX_WBITS | 16)
        elif encoding == "deflate":
            try:
                body = zlib.decompress(body)
            except zlib.error:
                body = zlib.decompress(body, -zlib.MAX_WBITS)
    return body


def _parsed(text: str) -> Any:
    """Parse a text as JSON; return the text itself if it is not JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return text
