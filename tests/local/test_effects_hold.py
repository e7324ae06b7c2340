"""The ledger, the counters and the guard with real boto3 calls: racing processes, and crashes between any two calls."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from handlers.cdc import Change, EffectInProgress, EffectLedger, acting_for, consumer
from handlers.cdc.counters import Counters
from handlers.cdc.ledger_table import LedgerTable
from handlers.cdc.projection import DynamoDBProjection
from handlers.cdc.testing import InMemoryProjection, Invocation, change, record, stream_event

ROOT = Path(__file__).parents[2]
Task = dict[str, Any]
MODES = ["at_least_once", "at_most_once"]


class Tables:
    """The ledger's, the counters' and the effects' table on the endpoint, and the processes that work with them."""

    def __init__(self, world: Any) -> None:
        self.dynamodb = world.client("dynamodb")
        self.names = {
            "EFFECT_LEDGER_TABLE": self._make(f"{world.name}-ledger", "effectKey"),
            "COUNTER_TABLE": self._make(f"{world.name}-counters", "counterKey"),
            "EFFECTS_TABLE": self._make(f"{world.name}-effects", "id"),
        }
        self.environment = {
            "PATH": os.environ["PATH"],
            "AWS_ENDPOINT_URL": world.aws.url,
            "AWS_REGION": world.aws.region,
            "AWS_DEFAULT_REGION": world.aws.region,
            "AWS_ACCESS_KEY_ID": world.aws.access_key_id,
            "AWS_SECRET_ACCESS_KEY": world.aws.secret_access_key,
            **self.names,
        }

    def _make(self, name: str, key: str) -> str:
        self.dynamodb.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        return name

    def run(self, *groups: list[Task]) -> list[list[str]]:
        """Run groups of tasks in processes; how each ended."""
        done = subprocess.run(
            [sys.executable, "-m", "tests.local.workers"],
            cwd=ROOT,
            env=self.environment,
            input=json.dumps(groups),
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def runs(self, key: str) -> int:
        """Count the times an effect was applied."""
        item = self.dynamodb.get_item(
            TableName=self.names["EFFECTS_TABLE"], Key={"id": {"S": key}}, ConsistentRead=True
        ).get("Item")
        return 0 if item is None else int(item["runs"]["N"])

    def entry(self, key: str, namespace: str = "workers#") -> Any:
        """Return the ledger's item of an effect."""
        return self.dynamodb.get_item(
            TableName=self.names["EFFECT_LEDGER_TABLE"],
            Key={"effectKey": {"S": f"{namespace}{key}"}},
            ConsistentRead=True,
        ).get("Item")


@pytest.fixture
def tables(world: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tables]:
    made = Tables(world)
    for name, value in made.names.items():
        monkeypatch.setenv(name, value)
    for module in ("ledger_table", "counter_table", "projection_table"):
        monkeypatch.setattr(f"handlers.cdc.{module}.BoundedClient", lambda _: made.dynamodb)
    with acting_for("workers"):
        yield made


def seeded() -> random.Random:
    seed = int(os.environ.get("PROPERTY_SEED", "20260101"))
    sys.stdout.write(f"seed {seed}: repeat with PROPERTY_SEED={seed}\n")
    return random.Random(seed)


#: The calls of one effect, in order; a worker dies before (even steps) or after (odd steps) each.
STEPS = ["claim", "claim", "effect", "effect", "mark", "mark"]


def test_a_worker_killed_between_any_two_calls_keeps_the_promise_of_its_mode(tables: Tables) -> None:
    deaths = [(mode, step) for mode in MODES for step in range(len(STEPS))]
    doomed = [{"do": "effect", "mode": mode, "keys": [f"{mode}-{step}"], "die_at": step} for mode, step in deaths]
    recovery = [{**task, "die_at": None} for task in doomed]
    killed, recovered = tables.run(doomed, recovery)
    assert killed == ["killed"] * len(deaths)
    outcome = {
        (mode, step): (ending, tables.runs(f"{mode}-{step}"), tables.entry(f"{mode}-{step}")["status"]["S"])
        for (mode, step), ending in zip(deaths, recovered, strict=True)
    }
    # Repeated only where the effect came about and its mark did not.
    repeats = {3: 2, 4: 2}
    assert {step: outcome["at_least_once", step] for step in range(6)} == {
        step: ("done", repeats.get(step, 1), "done") for step in range(6)
    }
    # Never repeated; uncertain wherever a claim was left without a mark.
    assert {step: outcome["at_most_once", step] for step in range(6)} == {
        0: ("done", 1, "done"),
        1: ("uncertain", 0, "claimed"),
        2: ("uncertain", 0, "claimed"),
        3: ("uncertain", 1, "claimed"),
        4: ("uncertain", 1, "claimed"),
        5: ("done", 1, "done"),
    }


@pytest.mark.parametrize("mode", MODES)
def test_racing_processes_bring_every_effect_about_once(tables: Tables, mode: str) -> None:
    chance = seeded()
    keys = [f"k{number}" for number in range(15)]
    (endings,) = tables.run([{"do": "effect", "mode": mode, "keys": chance.sample(keys, len(keys))} for _ in range(5)])
    assert endings == ["done"] * 5
    assert [tables.runs(key) for key in keys] == [1] * len(keys)


@pytest.mark.parametrize("mode", MODES)
def test_racing_processes_that_die_anywhere_lose_nothing_and_keep_the_promise(tables: Tables, mode: str) -> None:
    chance = seeded()
    keys = [f"k{number}" for number in range(8)]
    task = {"do": "effect", "mode": mode}
    crashes = [
        [{**task, "keys": chance.sample(keys, len(keys)), "die_at": chance.randrange(40)} for _ in range(4)]
        for _ in range(2)
    ]
    *ended, recovered = tables.run(*crashes, [{**task, "keys": keys}])
    deaths = sum(endings.count("killed") for endings in ended)
    assert deaths > 0
    runs = [tables.runs(key) for key in keys]
    if mode == "at_least_once":
        assert recovered == ["done"]
        assert min(runs) >= 1
        assert sum(runs) <= len(keys) + deaths
    else:
        assert max(runs) <= 1
        settled = [tables.entry(key)["status"]["S"] == "done" for key in keys]
        assert all(run == 1 for run, done in zip(runs, settled, strict=True) if done)
        assert recovered == ["done" if all(settled) else "uncertain"]


def test_racing_counters_that_die_anywhere_count_every_event_once(tables: Tables) -> None:
    chance = seeded()
    events = [f"e{number}" for number in range(120)]
    crashes = [
        [
            {"do": "count", "shards": 3, "keys": chance.sample(events, 80), "die_at": chance.choice([0, 1, 2, 3, None])}
            for _ in range(4)
        ]
        for _ in range(2)
    ]
    *_, recovered = tables.run(*crashes, [{"do": "count", "shards": 3, "keys": events}])
    assert recovered == ["done"]
    assert Counters("hits", shards=3).read("total") == len(events)
    tables.run([{"do": "count", "shards": 3, "keys": events}])
    assert Counters("hits", shards=3).read("total") == len(events)


def test_one_hot_counter_takes_the_writes_of_many_processes(tables: Tables) -> None:
    (endings,) = tables.run([{"do": "count", "keys": [f"w{worker}-e{n}" for n in range(30)]} for worker in range(5)])
    assert endings == ["done"] * 5
    assert Counters("hits").read("total") == 150


# The table's own conditions.


def test_a_result_is_stored_and_given_to_the_repeat(tables: Tables) -> None:
    ledger = EffectLedger(keep_result=True)
    assert ledger.once("k", lambda: {"id": "m1", "n": [1, None]}) == {"id": "m1", "n": [1, None]}
    assert ledger.once("k", pytest.fail, "repeated") == {"id": "m1", "n": [1, None]}
    assert int(tables.entry("k")["expiresAt"]["N"]) > 0


def test_an_effect_kept_for_ever_has_no_expiry(tables: Tables) -> None:
    EffectLedger(keep=None).once("k", lambda: None)
    assert "expiresAt" not in tables.entry("k")


def test_an_action_that_raises_leaves_no_entry(tables: Tables) -> None:
    with pytest.raises(ZeroDivisionError):
        EffectLedger().once("k", lambda: 1 / 0)
    assert tables.entry("k") is None


def test_a_live_claim_of_somebody_else_is_seen_with_its_lease(tables: Tables) -> None:
    now = 1_700_000_000_000
    claim: Callable[..., Any] = LedgerTable().claim
    given = {"now_ms": now, "lease_until_ms": now + 5000, "expires_at": None}
    assert claim("k", "one", **given, take_over=True) is None
    assert claim("k", "one", **given, take_over=True) is None  # a repeat of the owner's own, lost answer
    assert claim("k", "two", **given, take_over=True) == ("claimed", now + 5000, None)
    later = {**given, "now_ms": now + 5001}
    assert claim("k", "two", **later, take_over=False) == ("claimed", now + 5000, None)
    assert claim("k", "two", **later, take_over=True) is None


def test_only_the_owner_settles_or_releases(tables: Tables) -> None:
    table, now = LedgerTable(), 1_700_000_000_000
    table.claim("k", "one", now_ms=now, lease_until_ms=now + 5000, expires_at=None, take_over=True)
    table.release("k", "two")
    assert not table.settle("k", "two", status="done", expires_at=None, result=None)
    assert tables.entry("k", namespace="")["owner"]["S"] == "one"
    assert table.settle("k", "one", status="done", expires_at=7, result=None)
    table.release("k", "one")  # a done effect stays
    assert tables.entry("k", namespace="")["status"]["S"] == "done"


def test_an_expired_entry_is_free_although_ttl_has_not_deleted_it(tables: Tables) -> None:
    now = [1_700_000_000.0]
    ledger = EffectLedger(keep=timedelta(days=1), clock=lambda: now[0])
    assert ledger.once("k", lambda: "first") == "first"
    now[0] += 86_402
    assert ledger.once("k", lambda: "second") == "second"


def test_a_live_lease_is_waited_out_on_the_table(tables: Tables) -> None:
    now = [1_700_000_000.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    other = int(now[0] * 1000)
    LedgerTable().claim("workers#k", "o", now_ms=other, lease_until_ms=other + 3000, expires_at=None, take_over=True)
    ledger = EffectLedger(clock=lambda: now[0], sleep=sleep)
    assert ledger.once("k", lambda: "done") == "done"
    assert 3 <= now[0] - 1_700_000_000.0 < 4
    other = int(now[0] * 1000)
    LedgerTable().claim("workers#l", "o", now_ms=other, lease_until_ms=other + 90_000, expires_at=None, take_over=True)
    with pytest.raises(EffectInProgress):
        ledger.once("l", pytest.fail, "started")


def test_without_its_table_nothing_is_done(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EFFECT_LEDGER_TABLE")
    with pytest.raises(RuntimeError, match=r"EFFECT_LEDGER_TABLE is not set.*access=\[ledger.access\(\)\]"):
        EffectLedger().once("k", pytest.fail, "started")


def test_a_table_that_is_gone_fails_the_record(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EFFECT_LEDGER_TABLE", "no-such-table")
    with pytest.raises(Exception, match="ResourceNotFoundException"):
        EffectLedger().once("k", pytest.fail, "started")


def test_a_throttled_claim_fails_the_record_and_its_retry_brings_the_effect_about_once(
    tables: Tables, world: Any
) -> None:
    ledger, effects = EffectLedger(), [0]

    @consumer
    def handler(change: Change) -> None:
        ledger.once("k", lambda: effects.append(1))

    event = stream_event(record(new={"id": "u1"}))
    world.control.throttle("dynamodb:PutItem", containing="claimed")
    assert len(handler(event, Invocation())["batchItemFailures"]) == 1
    assert effects == [0]
    assert handler(event, Invocation()) == {"batchItemFailures": []}
    assert handler(event, Invocation()) == {"batchItemFailures": []}
    assert effects == [0, 1]


@pytest.mark.parametrize(("mode", "runs"), [("at_least_once", 2), ("at_most_once", 1)])
def test_a_throttled_mark_costs_what_the_mode_says_and_is_never_taken_for_done(
    tables: Tables, world: Any, monkeypatch: pytest.MonkeyPatch, mode: Any, runs: int
) -> None:
    parked: list[Any] = []
    monkeypatch.setattr("handlers.cdc.attempt.park", lambda *arguments: parked.append(arguments))
    ledger, effects = EffectLedger(mode=mode, lease=timedelta(milliseconds=200)), [0]

    @consumer
    def handler(change: Change) -> None:
        ledger.once("k", lambda: effects.append(1))

    event = stream_event(record(new={"id": "u1"}))
    world.control.throttle("dynamodb:UpdateItem")
    assert len(handler(event, Invocation())["batchItemFailures"]) == 1
    assert handler(event, Invocation()) == {"batchItemFailures": []}
    assert effects == [0] + [1] * runs
    assert len(parked) == (mode == "at_most_once")


@pytest.mark.parametrize("guard", ["version", "sequence"])
def test_in_dynamodb_the_newest_change_stands_after_any_deliveries(tables: Tables, guard: Any) -> None:
    chance = seeded()
    users = DynamoDBProjection("EFFECTS_TABLE", guard_by=guard)
    item: dict[str, Any] | None = None
    changes: list[Change] = []
    version = 1_767_225_600_000
    for plan in ["free", "pro", None, "team", None]:
        version += 0 if plan is None else 1
        new = None if plan is None else {"plan": plan, "version": version, "photo": b"\x00\xff", "tags": {"a"}}
        changes.append(change(old=item, new=new, keys=["version"]))
        item = new
    for _ in range(12):
        key = {"id": uuid.UUID(int=chance.getrandbits(128)).hex}
        last = chance.randrange(len(changes))
        for index in chance.sample([*range(last + 1), *range(last + 1)], 2 * last + 2):
            it = changes[index]
            if it.new is None:
                users.delete(it, key)
            else:
                users.put(it, {**it.new, **key})
        stored = tables.dynamodb.get_item(TableName=tables.names["EFFECTS_TABLE"], Key={"id": {"S": key["id"]}})["Item"]
        newest = changes[last].new
        if newest is None:
            assert stored["deleted"] == {"BOOL": True}
            assert int(stored["expiresAt"]["N"]) > 0
            assert "plan" not in stored
        else:
            assert (stored["plan"]["S"], stored["photo"]["B"], stored["tags"]) == (
                newest["plan"],
                b"\x00\xff",
                {"SS": ["a"]},
            )
            assert "deleted" not in stored


def test_an_update_sets_attributes_and_revives_a_tombstone_unless_it_is_older(tables: Tables) -> None:
    users = DynamoDBProjection("EFFECTS_TABLE", keep_deleted=None)
    first, removed, second = (
        change(new={"id": "u1", "version": 1}),
        change(old={"id": "u1", "version": 1}),
        change(new={"id": "u1", "version": 2}),
    )
    key = {"id": "u1"}
    assert users.put(first, {**key, "plan": "free"})
    assert users.delete(removed, key)
    assert not users.update(first, key, {"plan": "late"})
    assert users.update(second, key, {"plan": "pro", "seats": 3})
    assert not users.update(second, key, {"plan": "again"})
    stored = tables.dynamodb.get_item(TableName=tables.names["EFFECTS_TABLE"], Key={"id": {"S": "u1"}})["Item"]
    assert stored == {
        "id": {"S": "u1"},
        "version": {"N": "1"},
        "version#": {"SS": ["plan", "seats"]},
        "version#plan": {"N": "2"},
        "version#seats": {"N": "2"},
        "plan": {"S": "pro"},
        "seats": {"N": "3"},
    }


@pytest.mark.parametrize("guard", ["version", "sequence"])
def test_a_projection_in_dynamodb_is_the_one_in_memory_after_any_writes_in_any_order(
    tables: Tables, guard: Any
) -> None:
    chance = seeded()
    for number in range(15):
        key = {"id": f"{guard}-{number}"}
        memory = InMemoryProjection(key=["id"])
        both = [DynamoDBProjection("EFFECTS_TABLE", guard_by=guard, store=store) for store in (None, memory)]
        for version in chance.choices(range(1, 7), k=8):
            raw = record(new={**key, "version": version})
            raw["dynamodb"]["SequenceNumber"] = str(10**22 + version)
            it = Change(raw)
            attributes = {name: f"{name}-{version}" for name in chance.sample("abc", chance.randint(1, 3))}
            kind = chance.choice(["put", "update", "delete"])
            written = [
                projection.put(it, {**key, **attributes})
                if kind == "put"
                else projection.update(it, key, attributes)
                if kind == "update"
                else projection.delete(it, key)
                for projection in both
            ]
            assert written[0] is written[1], (kind, version)
        stored = tables.dynamodb.get_item(TableName=tables.names["EFFECTS_TABLE"], Key={"id": {"S": key["id"]}})["Item"]
        ((in_memory),) = memory._stored.values()  # pyright: ignore[reportPrivateUsage] - guards and tombstones too
        assert {**stored, "expiresAt": None} == {**in_memory, "expiresAt": None}


def test_an_attribute_that_others_keep_in_the_item_survives_an_update(tables: Tables) -> None:
    users, key = DynamoDBProjection("EFFECTS_TABLE"), {"id": "u1"}
    users.update(change(new={"id": "u1", "version": 1}), key, {"plan": "free"})
    tables.dynamodb.update_item(
        TableName=tables.names["EFFECTS_TABLE"],
        Key={"id": {"S": "u1"}},
        UpdateExpression="SET visits = :one",
        ExpressionAttributeValues={":one": {"N": "1"}},
    )
    users.update(change(new={"id": "u1", "version": 3}), key, {"plan": "pro"})
    assert users.update(change(new={"id": "u1", "version": 2}), key, {"plan": "late", "seats": 2})
    stored = tables.dynamodb.get_item(TableName=tables.names["EFFECTS_TABLE"], Key={"id": {"S": "u1"}})["Item"]
    assert (stored["plan"], stored["seats"], stored["visits"]) == ({"S": "pro"}, {"N": "2"}, {"N": "1"})


def test_a_projection_without_its_table_says_which_variable_is_missing(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("USERS_VIEW", raising=False)
    with pytest.raises(RuntimeError, match="USERS_VIEW is not set"):
        DynamoDBProjection("USERS_VIEW").delete(change(old={"id": "u1", "version": 1}), {"id": "u1"})
