"""`effect-ledger-expiry`: the entries of a ledger expire."""

from __future__ import annotations

from collections.abc import Iterator

from policies.aws_types import TABLE
from policies.not_applicable import NotApplicable
from policies.resources import Resource
from policies.rule import Config, Rule, Violation
from policies.wording import setting

#: The attribute that `handlers.cdc.EffectLedger` writes: seconds since 1970.
_EXPIRY = "expiresAt"


def check(table: Resource, _: Config) -> Iterator[Violation]:
    """Check the TTL of a table that is tagged as an effect ledger."""
    if table.tag("weir:role") != "effect-ledger":
        raise NotApplicable(f"{table.name} is not an effect ledger")
    ttl = table.props.block("ttl")
    if ttl.flag("enabled") is not True:
        what = "the effect ledger has no enabled TTL"
    elif ttl.text("attributeName") != _EXPIRY:
        what = f"the effect ledger's TTL reads another attribute than {_EXPIRY}, which is the one that entries have"
    else:
        return
    yield Violation(
        what=what,
        lost="nothing at once: it keeps an item for every side effect there ever was, with the keys of people who "
        "asked to be forgotten, until somebody deletes the table by hand, and then every effect can run again",
    )


RULE = Rule(
    id="effect-ledger-expiry",
    level="mandatory",
    severity="medium",
    title="An effect ledger must expire its entries",
    why="A ledger has to remember longer than any replay can reach back, and no longer: its keys name people and grow "
    "with every change. An effect that must never happen twice needs no other table: EffectLedger(keep=None) writes "
    "its entries without an expiry, and TTL leaves those alone.",
    remediation=f"Set {setting('ttl', {'attributeName': 'expiresAt', 'enabled': True})}.",
    limits="A consumer that keeps its entries forever says so in its code only.",
    resources=(TABLE,),
    check=check,
    good=(
        """
        effects:
          type: aws:dynamodb:Table
          properties:
            attributes: [{name: effectKey, type: S}]
            hashKey: effectKey
            billingMode: PAY_PER_REQUEST
            ttl: {attributeName: expiresAt, enabled: true}
            tags: {"weir:role": effect-ledger}
        """,
    ),
    bad=(
        """
        effects:
          type: aws:dynamodb:Table
          properties:
            attributes: [{name: effectKey, type: S}]
            hashKey: effectKey
            billingMode: PAY_PER_REQUEST
            tags: {"weir:role": effect-ledger}
        """,
        """
        effects:
          type: aws:dynamodb:Table
          properties:
            attributes: [{name: effectKey, type: S}]
            hashKey: effectKey
            billingMode: PAY_PER_REQUEST
            ttl: {attributeName: ttl, enabled: true}
            tags: {"weir:role": effect-ledger}
        """,
    ),
)
