"""Mistakes that a type checker should find: each line that has one names the rule that reports it."""

from collections.abc import Sequence
from dataclasses import dataclass

from handlers.cdc import Change, Consumer, EffectLedger, Image, consumer, on, to_dynamodb_json
from handlers.cdc.counters import Counters
from handlers.cdc.projection import DynamoDBProjection
from handlers.cdc.testing import InMemoryCounters, change
from handlers.cdc.windows import State, Window, windowed


@dataclass
class User:
    id: str
    plan: str


@dataclass
class Account:
    id: str


effects = EffectLedger()
counts = Counters("counts")
view = DynamoDBProjection("VIEW")
several = Consumer()


@consumer
def reads_the_new_image_of_a_removal(change: Change) -> None:
    print(change.new["plan"])  # error: reportOptionalSubscript
    print(change.old.get("plan"))  # error: reportOptionalMemberAccess
    for name in change.new:  # error: reportOptionalIterable
        print(name)
    if "plan" in change.old:  # error: reportOperatorIssue
        return
    if change.new is not None:
        print(change.new["plan"], change.item["plan"])


@consumer(model=User)
def reads_an_attribute_that_the_model_lacks(change: Change[User]) -> None:
    print(change.item.pla)  # error: reportAttributeAccessIssue
    print(change.new.plan)  # error: reportOptionalMemberAccess
    print(change.item["plan"])  # error: reportIndexIssue


@consumer  # error: reportArgumentType
def has_no_model(change: Change[User]) -> None: ...


@consumer(when=on.insert)  # error: reportArgumentType
def has_a_condition_and_no_model(change: Change[User]) -> None: ...


@consumer(model=Account)  # error: reportArgumentType
def has_another_model(change: Change[User]) -> None: ...


@consumer(whole_batch=True)  # error: reportArgumentType
def takes_one_of_a_whole_batch(change: Change) -> None: ...


@consumer  # error: reportArgumentType
def takes_a_batch_of_single_changes(changes: Sequence[Change]) -> None: ...


@consumer  # error: reportArgumentType
def takes_what_lambda_gives(event: dict[str, str], context: object) -> None: ...


@several.on(on.insert)  # error: reportArgumentType
def is_a_route_without_its_model(change: Change[User]) -> None: ...


@several.on(on.insert, model=Account)  # error: reportArgumentType
def is_a_route_with_another_model(change: Change[User]) -> None: ...


@several.on(on.new("plan"))  # error: reportArgumentType
def has_an_attribute_for_a_condition(change: Change) -> None: ...


@windowed  # error: reportArgumentType
def has_no_window(changes: Sequence[Change], state: State) -> State:
    return state


@windowed(model=Account)  # error: reportArgumentType
def has_another_model_for_its_window(changes: Sequence[Change[User]], state: State, window: Window) -> State:
    return state


def mails(address: str, copies: int = 1) -> str:
    return address * copies


def calls(it: Change[User], plain: Change) -> None:
    effects.once("key", mails)  # error: reportCallIssue
    effects.once("key", mails, 7)  # error: reportArgumentType
    effects.once("key", mails, "ada", copys=2)  # error: reportCallIssue
    sent: str = effects.once("key", mails, "ada")  # error: reportAssignmentType
    print(sent)
    counts.add(it.event_id, {"a": 1.5})  # error: reportArgumentType
    counts.add(it.event_id, {"a": "1"})  # error: reportArgumentType
    counts.add(it.event_id, {"a": None})  # error: reportArgumentType
    counts.add_all([it])  # error: reportArgumentType
    view.put(plain, plain.new)  # error: reportArgumentType
    view.update(plain, plain.keys)  # error: reportCallIssue
    DynamoDBProjection("VIEW", guard_by="time")  # error: reportArgumentType
    DynamoDBProjection("VIEW", store=InMemoryCounters())  # error: reportArgumentType
    to_dynamodb_json(plain)  # error: reportArgumentType
    plain.item["plan"] = "pro"  # error: reportIndexIssue
    plain.new = None  # error: reportAttributeAccessIssue
    images: Change[Image] = it  # error: reportAssignmentType
    print(images, plain.diff()[("a", 0)])  # error: reportArgumentType
    plain.changed(7)  # error: reportArgumentType
    change(nwe={"id": 1})  # error: reportCallIssue
    change(new={"id": 1}, view_type="ALL")  # error: reportArgumentType
    change(new={"id": 1}, model=User).item.pla  # error: reportAttributeAccessIssue
