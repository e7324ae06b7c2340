"""A consumer under another name, and one consumer on two streams."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from components import ChangeTable, FanOut, QueueDelivery, Refused, Stream, StreamDelivery
from handlers import plan_counts
from handlers.cdc import Change, consumer, on
from handlers.cdc.consumer import Consumer
from tests.reference import welcome_email

BUCKET = "arn:aws:s3:::audit-archive"
QUEUE = "arn:aws:sqs:eu-central-1:123456789012:kept"


def resources(run: Callable[..., object], program: Callable[[], object]) -> set[str]:
    return {each.urn for each in run(program).registrations}  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("route", ["stream", "fan-out"])
def test_another_module_under_the_old_name_keeps_every_resource(run, route: str) -> None:
    def with_(subscribed: Consumer, **name: str) -> Callable[[], object]:
        def program() -> None:
            source = ChangeTable("users", hash_key="userId").stream
            changes = Stream("changes", source=source) if route == "stream" else FanOut("changes", source=source)
            changes.subscribe(subscribed, environment={"COUNTER_TABLE": "counts"}, **name)

        return program

    before = resources(run, with_(welcome_email.handler))
    assert resources(run, with_(plan_counts.handler, name="welcome-email")) == before
    assert resources(run, with_(plan_counts.handler)) != before


@pytest.mark.parametrize("route", [Stream, FanOut])
def test_a_moved_module_with_the_old_name_changes_its_function_and_filter_alone(
    run, monkeypatch: pytest.MonkeyPatch, route: type[Stream | FanOut]
) -> None:
    def deployed(subscribed: Consumer) -> dict[str, object]:
        def program() -> None:
            changes = route("changes", source=ChangeTable("users", hash_key="userId").stream)
            changes.subscribe(subscribed, environment={"COUNTER_TABLE": "counts"})

        return {each.urn: each.inputs for each in run(program).registrations}

    before = deployed(welcome_email.handler)
    monkeypatch.setattr(plan_counts.handler, "_name", "welcome-email")  # as `@consumer(name="welcome-email")` sets it
    after = deployed(plan_counts.handler)
    assert after.keys() == before.keys()
    changed = {urn.split("::")[2].rpartition("$")[2] for urn in before if before[urn] != after[urn]}
    assert "aws:lambda/function:Function" in changed
    assert changed <= {"aws:lambda/function:Function", "aws:lambda/eventSourceMapping:EventSourceMapping"}


def test_a_consumer_keeps_its_name_whatever_its_module_is_called() -> None:
    @consumer(when=on.modify, name="welcome-email")
    def handler(change: Change) -> None: ...

    assert handler.name == "welcome-email"


def test_one_consumer_reads_two_tables_under_two_names(run) -> None:
    def program() -> None:
        for table in ("users", "orders"):
            source = ChangeTable(table, hash_key="id").stream
            Stream(f"{table}-changes", source=source).subscribe(welcome_email.handler, name=f"{table}-mail")

    done = run(program)
    mappings = {each.name: each.inputs["eventSourceArn"] for each in done.all("EventSourceMapping")}
    assert {name: arn.split("/")[1] for name, arn in mappings.items()} == {
        "users-mail": "users",
        "orders-mail": "orders",
    }
    assert {each.inputs["handler"] for each in done.all("Function")} == {"tests.reference.welcome_email.handler"}


def test_the_same_name_twice_on_one_route_is_refused(run) -> None:
    def program() -> None:
        changes = Stream("changes", source=ChangeTable("users", hash_key="userId").stream)
        changes.subscribe(welcome_email.handler)
        changes.subscribe(welcome_email.handler)

    with pytest.raises(Refused, match="welcome-email reads changes already, and a second one would do everything"):
        run(program)


@pytest.mark.parametrize("destination", [BUCKET, QUEUE])
def test_given_up_changes_go_to_a_destination_that_exists(run, destination: str) -> None:
    def program() -> None:
        users, orders = (ChangeTable(each, hash_key="id") for each in ("users", "orders"))
        direct = Stream("direct", source=orders.stream, delivery=StreamDelivery(on_failure=destination))
        direct.subscribe(welcome_email.handler, name="streamed")
        queued = FanOut("queued", source=users.stream, delivery=QueueDelivery(on_failure=destination))
        queued.subscribe(welcome_email.handler, name="queued-mail")

    done = run(program)
    mapping = done.one("EventSourceMapping", "streamed").inputs
    assert mapping["destinationConfig"] == {"onFailure": {"destinationArn": destination}}
    variables = done.one("Function", "queued-mail").inputs["environment"]["variables"]
    assert variables["FAILURE_DESTINATION"] == destination
    owned = {each.name for each in (*done.all("Bucket"), *done.all("Queue"))}
    assert not {"streamed-failures", "queued-mail-failures"} & owned
