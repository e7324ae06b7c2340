"""One function, a dataclass as its model, and an effect that runs once."""

from dataclasses import dataclass, field
from enum import StrEnum

from handlers.cdc import Change, Discard, EffectLedger, client, consumer, on

mails = EffectLedger(mode="at_most_once", keep=None)
ses = client("sesv2", attempts=1)


class Plan(StrEnum):
    FREE = "free"
    PRO = "pro"


@dataclass(frozen=True)
class User:
    userId: str  # noqa: N815 - the attribute's name
    plan: Plan
    email: str | None = None
    tags: set[str] = field(default_factory=set[str])


@consumer(when=on.modify & on.changed("plan"), model=User)
def handler(change: Change[User]) -> None:
    user = change.item
    if user.email is None:
        raise Discard("the user has no address")
    before = change.old.plan if change.old is not None else None
    mails.once(f"plan:{user.userId}:{change.event_id}", send, user.email, before=before, after=user.plan)


def send(address: str, *, before: Plan | None, after: Plan) -> None:
    ses.send_email(Destination={"ToAddresses": [address]}, Content={"Simple": {"Subject": f"{before} {after}"}})
