"""Records that can never succeed are parked with their full content; if that fails, they fail."""

import io
import json
import logging
from collections.abc import Sequence
from typing import Any, ClassVar

import pytest

from handlers.cdc import Change, Discard, consumer
from handlers.cdc.consumer import Consumer
from handlers.cdc.queues import queue_url, warn_of_redrive
from handlers.cdc.testing import Invocation, pipe_event, queue_event, record, stream_event

SECRET = "ada@example.com"


class NoSuchKey(Exception):
    """S3's answer for an object that is not there."""

    response: ClassVar = {"Error": {"Code": "NoSuchKey"}}


class Aws:
    """An S3 and an SQS that note calls, and fail those that a test turns off."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.down: set[str] = set()
        self.answers: dict[str, Any] = {}
        self.objects: dict[str, bytes] = {}
        self.deleted: list[str] = []

    def client(self, service: str) -> "Aws":
        return self

    def __getattr__(self, name: str) -> Any:
        def call(**arguments: Any) -> dict[str, Any]:
            if name in self.down:
                raise ConnectionError(name)
            match name, arguments:
                case "get_queue_url", {"QueueOwnerAWSAccountId": account, "QueueName": queue}:
                    return {"QueueUrl": f"https://queues/{account}/{queue}"}
                case "get_object", {"Key": key}:
                    if key not in self.objects:
                        raise NoSuchKey(key)
                    return {"Body": io.BytesIO(self.objects[key])}
                case "put_object", {"Key": key, "Body": body} if key.startswith("started/"):
                    self.objects[key] = body
                    return {}
                case "delete_object", {"Key": key}:
                    self.objects.pop(key, None)
                    return {}
                case "delete_message_batch", {"Entries": entries}:
                    self.deleted += [entry["ReceiptHandle"] for entry in entries]
                    return {}
                case _:
                    self.calls.append((name, arguments))
                    return self.answers.get(name, {})

        return call

    def parked(self) -> list[dict[str, Any]]:
        return [json.loads(call.get("Body") or call["MessageBody"]) for name, call in self.calls if "visib" not in name]

    def pauses(self) -> list[int]:
        calls = [call for name, call in self.calls if name == "change_message_visibility_batch"]
        return [entry["VisibilityTimeout"] for call in calls for entry in call["Entries"]]


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> Aws:
    fake = Aws()
    queue_url.cache_clear()
    for module in ("discard", "queues", "message_starts"):
        monkeypatch.setattr(f"handlers.cdc.{module}.BoundedClient", fake.client)
    monkeypatch.setattr("handlers.cdc.message_starts._memory", {})
    monkeypatch.setenv("FAILURE_DESTINATION", "arn:aws:s3:::parked-records")
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "welcome-email")
    return fake


def records(size: int = 3) -> list[dict[str, Any]]:
    return [record(new={"id": n, "mail": SECRET}) for n in range(size)]


def discarding(*bad: int, error: Exception | None = None) -> tuple[Consumer, list[int]]:
    seen: list[int] = []

    @consumer
    def handler(change: Change) -> None:
        seen.append(int(change.keys["id"]))
        if change.keys["id"] in bad:
            raise error or Discard("the address bounced")

    return handler, seen


def run(handler: Consumer, event: Any) -> list[str]:
    return [item["itemIdentifier"] for item in handler(event, Invocation())["batchItemFailures"]]


def test_a_discarded_record_is_parked_and_the_batch_goes_on(aws: Aws) -> None:
    handler, seen = discarding(1)
    given = records()
    assert run(handler, stream_event(*given)) == []
    assert seen == [0, 1, 2]
    ((name, call),) = aws.calls
    assert (name, call["Bucket"]) == ("put_object", "parked-records")
    assert call["Key"] == f"discarded/welcome-email/{given[1]['eventID']}.json"


def test_a_parked_record_has_its_full_content_and_can_be_replayed_as_it_is(aws: Aws) -> None:
    handler, _ = discarding(0)
    (given,) = records(1)
    run(handler, stream_event(given))
    (document,) = aws.parked()
    assert json.loads(document["payload"]) == {"Records": [given]}
    assert document["requestContext"] == {"functionName": "welcome-email", "condition": "Discarded"}
    assert document["reason"] == "the address bounced"
    assert document["eventId"] == given["eventID"]
    replayed: list[Change] = []

    @consumer
    def again(change: Change) -> None:
        replayed.append(change)

    run(again, document)
    assert [(change.origin, change.new["mail"]) for change in replayed] == [("replay", SECRET)]


@pytest.mark.parametrize("make", [pipe_event, queue_event], ids=["pipe", "queue"])
def test_records_of_other_deliveries_are_parked_as_they_came(aws: Aws, make: Any) -> None:
    handler, _ = discarding(0)
    event = make(*records(1))
    assert run(handler, event) == []
    (document,) = aws.parked()
    assert json.loads(document["payload"])["Records"] == (event if isinstance(event, list) else event["Records"])


def test_a_record_may_be_parked_in_a_queue(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAILURE_DESTINATION", "arn:aws:sqs:us-east-1:111122223333:parked")
    handler, _ = discarding(0)
    assert run(handler, stream_event(*records(1))) == []
    ((name, call),) = aws.calls
    assert (name, call["QueueUrl"]) == ("send_message", "https://queues/111122223333/parked")


def test_a_record_too_large_for_a_message_fails_and_says_what_to_do(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("FAILURE_DESTINATION", "arn:aws:sqs:us-east-1:111122223333:parked")
    handler, _ = discarding(0)
    large = record(new={"id": 0, "text": "é" * 600_000})
    assert run(handler, stream_event(large)) == [large["dynamodb"]["SequenceNumber"]]
    assert "make the failure destination an S3 bucket" in caplog.text
    assert aws.calls == []


@pytest.mark.parametrize(("more", "parked"), [(0, True), (1, False)])
def test_a_message_holds_one_mebibyte_and_not_a_byte_more(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, more: int, parked: bool
) -> None:
    monkeypatch.setenv("FAILURE_DESTINATION", "arn:aws:sqs:us-east-1:111122223333:parked")
    handler, _ = discarding(0)
    given = record(new={"id": 0, "text": ""})
    run(handler, stream_event(given))
    room = 1024 * 1024 - len(aws.calls.pop()[1]["MessageBody"])
    given["dynamodb"]["NewImage"]["text"]["S"] = "x" * (room + more)
    assert (run(handler, stream_event(given)) == []) == parked
    assert len(aws.calls) == parked


@pytest.mark.parametrize("destination", ["", "arn:aws:sns:us-east-1:111122223333:topic"])
def test_without_a_place_to_park_the_record_fails(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, destination: str
) -> None:
    monkeypatch.setenv("FAILURE_DESTINATION", destination)
    handler, seen = discarding(1)
    given = records()
    assert run(handler, stream_event(*given)) == [given[1]["dynamodb"]["SequenceNumber"]]
    assert seen == [0, 1]
    assert "FAILURE_DESTINATION" in caplog.text


def test_a_destination_that_is_down_fails_the_record(aws: Aws) -> None:
    aws.down.add("put_object")
    handler, seen = discarding(1)
    given = records()
    assert run(handler, stream_event(*given)) == [given[1]["dynamodb"]["SequenceNumber"]]
    assert seen == [0, 1]


def test_discards_are_counted_and_logged_without_content(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    handler, _ = discarding(0, 2)
    with caplog.at_level(logging.DEBUG):
        run(handler, stream_event(*records()))
    metrics = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (metrics["Discarded"], metrics["Records"]) == (2, 3)
    assert "Failures" not in metrics
    assert caplog.text.count("is parked: the address bounced") == 2
    assert SECRET not in caplog.text + repr([line.__dict__ for line in caplog.records])


def test_a_message_whose_body_is_no_change_cannot_be_discarded_by_the_function_and_fails(aws: Aws) -> None:
    handler, seen = discarding(0)
    event = queue_event("not json")
    assert run(handler, event) == [event["Records"][0]["messageId"]]
    assert (seen, aws.calls) == ([], [])


# Queues: the last attempt, and the pause between attempts.


def test_without_a_number_of_attempts_the_queues_redrive_policy_decides(aws: Aws) -> None:
    handler, _ = discarding(0, error=RuntimeError("down"))
    event = queue_event(*records(1), group="g", receive_count=50)
    assert run(handler, event) == [event["Records"][0]["messageId"]]
    assert aws.calls == []


def received_again(event: dict[str, Any], *failed: str) -> dict[str, Any]:
    """Return the event of the next receive: the messages that failed, each received once more."""
    messages = [message for message in event["Records"] if message["messageId"] in failed]
    for message in messages:
        message["attributes"]["ApproximateReceiveCount"] = str(
            int(message["attributes"]["ApproximateReceiveCount"]) + 1
        )
    return {"Records": messages}


@pytest.mark.parametrize("group", [None, "g"])
def test_a_failed_message_waits_longer_each_time(aws: Aws, monkeypatch: pytest.MonkeyPatch, group: str | None) -> None:
    monkeypatch.setenv("QUEUE_ATTEMPTS", "12")
    handler, _ = discarding(0, error=RuntimeError("down"))
    event = queue_event(*records(1), group=group)
    while event["Records"]:
        event = received_again(event, *run(handler, event))
    assert aws.pauses() == [2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]
    assert len(aws.parked()) == 1
    assert aws.calls[0][1]["QueueUrl"] == "https://queues/111122223333/changes" + (".fifo" if group else "")
    assert aws.calls[0][1]["Entries"][0]["ReceiptHandle"].startswith("receipt-")


def test_what_waits_behind_a_failed_message_waits_no_longer_than_it(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUEUE_ATTEMPTS", "12")
    handler, _ = discarding(1, error=RuntimeError("down"))
    run(handler, queue_event(*records(3), group="g"))
    assert aws.pauses() == [2, 2]


def test_messages_that_were_not_started_for_want_of_time_come_back_at_once(
    aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUEUE_ATTEMPTS", "12")
    invocation = Invocation(seconds=5)

    @consumer
    def handler(change: Change) -> None:
        monkeypatch.setattr(invocation, "_ends", 0)

    event = queue_event(*records(3), group="g")
    answer = handler(event, invocation)
    assert answer["batchItemFailures"] == [{"itemIdentifier": each["messageId"]} for each in event["Records"][1:]]
    assert aws.pauses() == [0, 0]


def test_messages_that_fail_as_a_whole_batch_back_off_and_only_a_damaged_one_is_parked(
    aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUEUE_ATTEMPTS", "3")

    @consumer(whole_batch=True)
    def handler(changes: Sequence[Change]) -> None:
        raise RuntimeError("down")

    event = queue_event(*records(12), "not json", group=None, receive_count=3)
    *changes, damaged = event["Records"]
    assert run(handler, event) == [each["messageId"] for each in changes]
    assert aws.pauses() == [8] * 12
    assert [json.loads(document["payload"])["Records"] for document in aws.parked()] == [[damaged]]


def test_followers_in_a_fifo_queue_whose_attempts_nobody_counts_are_a_warning_once(
    aws: Aws, caplog: pytest.LogCaptureFixture
) -> None:
    warn_of_redrive.cache_clear()
    handler, _ = discarding(0, error=RuntimeError("down"))
    run(handler, queue_event(*records(1), group="g"))
    assert "QUEUE_ATTEMPTS is not set" not in caplog.text
    for _ in range(2):
        run(handler, queue_event(*records(3), group="g"))
    assert caplog.text.count("QUEUE_ATTEMPTS is not set: messages behind a failing one") == 1


def test_a_pause_that_cannot_be_set_is_logged_and_the_message_still_fails(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("QUEUE_ATTEMPTS", "12")
    handler, _ = discarding(0, error=RuntimeError("down"))
    event = queue_event(*records(1), group="g")
    aws.answers["change_message_visibility_batch"] = {"Failed": [{"Id": "0", "Code": "InvalidParameterValue"}]}
    assert run(handler, event) == [event["Records"][0]["messageId"]]
    assert "the pause of failed messages could not be set: InvalidParameterValue" in caplog.text
    aws.down.add("change_message_visibility_batch")
    assert run(handler, event) == [event["Records"][0]["messageId"]]
    assert "the pause of failed messages could not be set" in caplog.text


def test_a_poison_message_is_parked_at_its_last_attempt_and_its_group_goes_on(
    aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUEUE_ATTEMPTS", "3")
    handler, seen = discarding(0, error=RuntimeError("down"))
    event = queue_event(*records(), group="g")
    for _ in range(3):
        event = received_again(event, *run(handler, event))
    assert seen == [0, 0, 0, 1, 2]
    assert event["Records"] == []
    (document,) = aws.parked()
    assert document["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert document["reason"] == "failed 3 times, at last with RuntimeError"
    assert aws.objects == {}


@pytest.mark.parametrize("destination", ["arn:aws:s3:::parked-records", "arn:aws:sqs:us-east-1:111122223333:parked"])
def test_a_message_behind_a_parked_one_gets_attempts_of_its_own(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, destination: str
) -> None:
    monkeypatch.setenv("QUEUE_ATTEMPTS", "3")
    monkeypatch.setenv("FAILURE_DESTINATION", destination)
    handler, seen = discarding(0, 1, error=RuntimeError("down"))
    event = queue_event(*records(), group="g")
    while event["Records"]:
        event = received_again(event, *run(handler, event))
    assert seen == [0, 0, 0, 1, 1, 1, 2]
    assert len(aws.parked()) == 2


def test_a_last_attempt_that_cannot_be_parked_is_one_more_failure(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUEUE_ATTEMPTS", "1")
    aws.down.add("put_object")
    handler, seen = discarding(0, error=RuntimeError("down"))
    event = queue_event(*records(2), group="g")
    assert run(handler, event) == [message["messageId"] for message in event["Records"]]
    assert seen == [0]


@pytest.mark.parametrize("attempts", ["0", "-1", "many", ""])
def test_a_number_of_attempts_that_is_none_is_an_error(monkeypatch: pytest.MonkeyPatch, attempts: str) -> None:
    monkeypatch.setenv("QUEUE_ATTEMPTS", attempts)
    handler, _ = discarding()
    with pytest.raises(ValueError, match="QUEUE_ATTEMPTS"):
        run(handler, queue_event(*records(1)))
