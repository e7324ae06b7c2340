"""The demo's users and the faults that happen to them, as plain values."""

from __future__ import annotations

import random
from dataclasses import dataclass

#: With fewer, the three poison records would not leave enough healthy ones to share a batch with.
FEWEST_USERS = 20
MOST_USERS = 5_000

PAID_PLAN = "pro"
FREE_PLAN = "free"


@dataclass(frozen=True)
class Plan:
    """The users to upgrade and those that each fault happens to, all by user id.

    Attributes:
        users: Everybody.
        upgraded: Those who go from free to a paid plan, in the order of their requests.
        no_address: Upgraded ones whose item holds no usable email address: the handler raises every time.
        crashing: Upgraded ones at whose record the function ends without an answer, every time.
        returning: Healthy ones who go back to free and up again: new records for an effect that is done.
        lost_answers: Healthy ones; for each, one invocation that held its record ran, and its answer got lost.
        throttled: Healthy ones whose mail SES throttles once.
        refused: Healthy ones whose onboarding is refused.
        account_first: Those who open an account and are upgraded then.
        account_last: Those who are upgraded and open an account then.
    """

    users: tuple[str, ...]
    upgraded: tuple[str, ...]
    no_address: frozenset[str]
    crashing: frozenset[str]
    returning: frozenset[str]
    lost_answers: tuple[str, ...]
    throttled: tuple[str, ...]
    refused: frozenset[str] = frozenset()
    account_first: tuple[str, ...] = ()
    account_last: tuple[str, ...] = ()

    @property
    def poison(self) -> frozenset[str]:
        """The users whose upgrade fails every time."""
        return self.no_address | self.crashing

    @property
    def healthy(self) -> tuple[str, ...]:
        """The users whose upgrade must become exactly one mail."""
        return tuple(user for user in self.upgraded if user not in self.poison)

    def requests_of(self, user: str) -> tuple[str, ...]:
        """List the plans of a user's requests, in order."""
        return (PAID_PLAN, FREE_PLAN, PAID_PLAN) if user in self.returning else (PAID_PLAN,)

    @property
    def accounts(self) -> frozenset[str]:
        """The users who have an account in the end."""
        return frozenset((*self.account_first, *self.account_last))

    def item_of(self, user: str) -> dict[str, str]:
        """Return the user's item before the upgrade."""
        item = {"userId": user, "plan": FREE_PLAN, "name": f"User {user}"}
        return item if user in self.no_address else {**item, "email": address_of(user)}


def address_of(user: str) -> str:
    """Return a user's email address."""
    return f"{user}@example.com"


def account_of(user: str) -> str:
    """Return the id of a user's account."""
    return f"account-of-{user}"


def make_plan(users: int) -> Plan:
    """Plan a demo: of 200 users 150 are upgraded, and the rest in proportion; three upgrades are always poison.

    Raises:
        ValueError: `users` is less than 20 or more than 5,000.
    """
    if not FEWEST_USERS <= users <= MOST_USERS:
        raise ValueError(f"the demo takes {FEWEST_USERS} to {MOST_USERS} users, not {users}")
    names = tuple(f"user-{number:04d}" for number in range(1, users + 1))
    # The same people every time, so that two runs can be compared.
    upgraded = tuple(random.Random(users).sample(names, k=users * 3 // 4))  # noqa: S311 - a sample, not a secret
    middle = len(upgraded) // 2
    # The crash comes in the midst of the others, so that its batch holds healthy records on both sides.
    crashing = upgraded[middle]
    no_address = (upgraded[middle // 2], upgraded[middle + middle // 2])
    healthy = [user for user in upgraded if user not in (crashing, *no_address)]
    lost_answers = _spread(healthy, max(1, users // 20))
    rest = [user for user in healthy if user not in lost_answers]
    throttled = _spread(rest, max(1, users // 40))
    rest = [user for user in rest if user not in throttled]
    returning = _spread(rest, max(1, users * 3 // 20))
    refused = _spread([user for user in rest if user not in returning], max(1, users // 20))
    # Every fourth has no account, unless a fault needs one.
    needed = {*lost_answers, *throttled, *returning}
    accounts = [user for number, user in enumerate(upgraded) if number % 4 or user in needed]
    return Plan(
        users=names,
        upgraded=upgraded,
        no_address=frozenset(no_address),
        crashing=frozenset([crashing]),
        returning=frozenset(returning),
        lost_answers=lost_answers,
        throttled=throttled,
        refused=frozenset(refused),
        account_first=tuple(accounts[::2]),
        account_last=tuple(accounts[1::2]),
    )


def _spread(users: list[str], count: int) -> tuple[str, ...]:
    """Choose `count` users at even distances, so that one batch holds few of them."""
    return tuple(users[index * len(users) // count] for index in range(count))
