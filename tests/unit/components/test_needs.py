"""What a handler's module needs is declared, or `subscribe` refuses it with the line to add."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from components import Access, FanOut, Refused, Stream, StreamSource, allow, unused_client

PROGRAM = Path(__file__).parents[3]
STREAM = "arn:aws:dynamodb:eu-central-1:123456789012:table/users/stream/2026-01-31T08:30:00.000"
WRITE = """
from handlers.cdc import Change, consumer

@consumer
def handler(change: Change) -> None: ...
"""


@pytest.fixture
def subscribe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """Write a handler module into a project of its own, and subscribe it to a stream or a fan-out."""
    (tmp_path / "handlers").mkdir()
    (tmp_path / "handlers" / "cdc").symlink_to(PROGRAM / "handlers" / "cdc")
    shutil.copy(PROGRAM / "handlers" / "__init__.py", tmp_path / "handlers")
    import handlers

    monkeypatch.setattr(handlers, "__path__", [str(tmp_path / "handlers"), *handlers.__path__])

    def subscribed(source: str, *, way: type[Stream | FanOut] = Stream, **settings: Any) -> Any:
        (tmp_path / "handlers" / "needy.py").write_text(source + WRITE)
        sys.modules.pop("handlers.needy", None)
        needy = import_module("handlers.needy")
        source_of_changes = StreamSource(arn=STREAM, table="users", keys={"userId": "S"})
        return run(lambda: way("changes", source=source_of_changes).subscribe(needy.handler, **settings))

    yield subscribed
    sys.modules.pop("handlers.needy", None)


TABLE = [allow(["dynamodb:PutItem"], "arn:aws:dynamodb:eu-central-1:123456789012:table/any")]

NEEDS = {
    "the default ledger": ("from handlers.cdc import effects", "effects", "EFFECT_LEDGER_TABLE"),
    "a ledger": ("from handlers.cdc import EffectLedger\nmails = EffectLedger()", "mails", "EFFECT_LEDGER_TABLE"),
    "counters": ("from handlers.cdc.counters import Counters\nplans = Counters('plans')", "plans", "COUNTER_TABLE"),
    "counters with a variable": (
        "from handlers.cdc.counters import Counters\nplans = Counters('plans', variable='PLANS')",
        "plans",
        "PLANS",
    ),
    "a projection": (
        "from handlers.cdc.projection import DynamoDBProjection\nseats = DynamoDBProjection('SEATS_TABLE')",
        "seats",
        "SEATS_TABLE",
    ),
}


@pytest.mark.parametrize(("source", "attribute", "variable"), NEEDS.values(), ids=NEEDS)
@pytest.mark.parametrize("way", [Stream, FanOut])
def test_a_table_that_nothing_names_is_refused(
    subscribe: Callable[..., Any], way: Any, source: str, attribute: str, variable: str
) -> None:
    with pytest.raises(
        Refused, match=rf"needy: handlers\.needy has {attribute}, and nothing sets {variable}, .*add access=\["
    ):
        subscribe(source, way=way, repeats="none") if way is FanOut else subscribe(source)


@pytest.mark.parametrize(("source", "_attribute", "variable"), NEEDS.values(), ids=NEEDS)
def test_a_table_is_named_by_an_access_or_by_a_variable(
    subscribe: Callable[..., Any], source: str, _attribute: str, variable: str
) -> None:
    assert subscribe(source, access=[Access(TABLE, {variable: "any"})])
    assert subscribe(source, environment={variable: "any"})


DATABASE = """
from handlers.cdc.postgresql import Database
from handlers.cdc.secrets import Secret
users = Database("DB_URL", password=Secret("DB_PASSWORD"), name="users", migrations=[])
"""


def test_a_database_needs_its_url_and_its_password(subscribe: Callable[..., Any]) -> None:
    password = Access([], {"DB_PASSWORD": "arn"})
    with pytest.raises(Refused, match=r"needy has users, and nothing sets DB_URL, .*add environment=\{"):
        subscribe(DATABASE, access=[password])
    with pytest.raises(Refused, match=r'nothing sets DB_PASSWORD, .*add access=\[secret_access\(secret.arn, "DB_PASS'):
        subscribe(DATABASE, environment={"DB_URL": "any"})
    assert subscribe(DATABASE, access=[password], environment={"DB_URL": "any"})


def test_a_ledger_with_a_store_of_its_own_needs_no_table(subscribe: Callable[..., Any]) -> None:
    class_ = "class Store: ...\nmails = EffectLedger(store=Store())"
    assert subscribe(f"from handlers.cdc import EffectLedger\n{class_}")


@pytest.mark.parametrize(
    ("service", "prefix"),
    [("sesv2", "ses"), ("dynamodb", "dynamodb"), ("stepfunctions", "states"), ("opensearchserverless", "aoss")],
)
def test_a_client_that_may_do_nothing_is_refused(subscribe: Callable[..., Any], service: str, prefix: str) -> None:
    source = f"from handlers.cdc import client\nbackend = client({service!r})"
    message = rf'has backend = client\("{service}"\), and no access allows an action of {prefix}: .*add access=\['
    with pytest.raises(Refused, match=message):
        subscribe(source)
    denied = {"Effect": "Deny", "Action": [f"{prefix}:Get*"], "Resource": "*"}
    with pytest.raises(Refused, match=message):
        subscribe(source, access=[Access([denied])])
    assert subscribe(source, access=[Access([allow([f"{prefix}:Get*"], "arn")])])
    assert subscribe(source, access=[unused_client(service)])


def test_a_client_of_a_service_that_asks_no_permission_needs_none(subscribe: Callable[..., Any]) -> None:
    assert subscribe("from handlers.cdc import client\nsts = client('sts')")


def test_the_needs_of_a_module_that_the_handler_imports_are_its_own(
    subscribe: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "handlers" / "shared_mails.py").write_text("from handlers.cdc import client\nses = client('sesv2')\n")
    monkeypatch.delitem(sys.modules, "handlers.shared_mails", raising=False)
    with pytest.raises(Refused, match=r'handlers\.shared_mails has ses = client\("sesv2"\)'):
        subscribe("from handlers import shared_mails")


def test_a_module_without_needs_needs_no_access(subscribe: Callable[..., Any]) -> None:
    assert subscribe("")
