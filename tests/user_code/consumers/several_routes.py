"""Several functions, each with the changes and the model it is for."""

from dataclasses import dataclass
from typing import TypedDict

from handlers.cdc import Change, Consumer, Image, on, to_json


@dataclass
class Order:
    orderId: str  # noqa: N815 - the attribute's name
    total: float


class Customer(TypedDict):
    customerId: str
    name: str


handler = Consumer(match="all", name="shop")
log: list[str] = []


@handler.on(on.key("pk").begins_with("ORDER#"), model=Order)
def order(change: Change[Order]) -> None:
    log.append(f"{change.item.orderId}: {change.item.total:.2f}")


@handler.on(on.key("pk").begins_with("CUSTOMER#"), model=Customer)
def customer(change: Change[Customer]) -> str:
    return change.item["name"]


@handler.on(on.remove)
def removed(change: Change) -> None:
    last: Image = change.item
    log.append(to_json({"removed": last, "was": change.diff(nested=True).get(("a.b", 0))}))
