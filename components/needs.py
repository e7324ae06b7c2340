"""The needs of a handler: variables and permissions without which its first invocation would fail.

They stand in its module, and in the project's modules that it imports: a ledger, counters, a projection, clients.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from aws_semantics.permissions import action_prefix
from components.access import Access
from components.first_party import module_names
from components.package import project_root
from components.refusal import Refused
from handlers.cdc import EffectLedger
from handlers.cdc.clients import LazyClient
from handlers.cdc.counter_table import CounterTable
from handlers.cdc.counters import Counters
from handlers.cdc.ledger_table import TABLE_VARIABLE, LedgerTable
from handlers.cdc.postgresql import Database
from handlers.cdc.projection import DynamoDBProjection
from handlers.cdc.projection_search import SearchProjection
from handlers.cdc.projection_table import ProjectionTable
from handlers.cdc.redis import Cache
from handlers.cdc.secrets import Secret
from handlers.cdc.sequencer import Sequencer
from handlers.cdc.sequencer_table import SequencerTable
from handlers.cdc.sequencer_timer import SequencerTimer
from handlers.cdc.workflow import Workflow
from handlers.cdc.write_once import WriteOnceBucket

#: Services whose calls need no permission.
_FREE_OF_PERMISSION = frozenset({"sts"})


@dataclass(frozen=True)
class _Variable:
    """An environment variable that names the table of an object, and the access that sets it."""

    name: str
    line: str


def check_needs(name: str, module: str, access: Sequence[Access], environment: Iterable[str]) -> None:
    """Refuse a function that lacks what its module needs.

    Clients and tables that a function makes while it runs are not seen.

    Args:
        name: The function's name, for the message.
        module: The handler's module.
        access: The function's accesses.
        environment: Names of its variables beyond those of `access`.

    Raises:
        Refused: A variable is not set, or no statement allows an action of a client's service. The message says the
            line to add.
    """
    granted = {action.partition(":")[0] for each in access for action in _allowed(each)}
    set_variables = {*environment, *(variable for each in access for variable in each.environment)}
    unused = {service for each in access for service in each.unused_clients}
    for found_in, attribute, value in _module_level(module):
        for variable in _variables(value):
            if variable.name not in set_variables:
                raise Refused(
                    f"{name}: {found_in} has {attribute}, and nothing sets {variable.name}, which names what it uses: "
                    f"the first change would fail; add {variable.line}"
                )
        if isinstance(value, LazyClient) and value.service not in unused | _FREE_OF_PERMISSION:
            prefix = action_prefix(value.service)
            if not granted & {prefix, "*"}:
                raise Refused(
                    f'{name}: {found_in} has {attribute} = client("{value.service}"), and no access allows an action '
                    f'of {prefix}: the first call would be denied; add access=[Access([allow(["{prefix}:…"], arn)])], '
                    f'or access=[unused_client("{value.service}")] if it is not called or is allowed elsewhere'
                )


def _module_level(module: str) -> Iterator[tuple[str, str, object]]:
    """Yield module, name and value of what the imported modules of a handler hold."""
    packed = [each for each in module_names(module, project_root(module)) if not each.startswith("handlers.cdc")]
    for imported in dict.fromkeys([module, *packed]):
        for attribute, value in vars(sys.modules[imported]).items() if imported in sys.modules else ():
            yield imported, attribute, value


def _variables(value: object) -> Iterator[_Variable]:
    match value:
        case EffectLedger(store=LedgerTable()):
            yield _Variable(TABLE_VARIABLE, 'access=[ledger.access()], with ledger = EffectLedgerTable("effects")')
        case (
            Counters(store=CounterTable(variable=variable))
            | DynamoDBProjection(store=ProjectionTable(variable=variable))
        ):
            yield _Variable(variable, f'access=[Access([allow([…], table.arn)], {{"{variable}": table.name}})]')
        case WriteOnceBucket(variable=variable):
            yield _Variable(variable, "access=[audit.access()], with audit = AuditBucket(…)")
        case Database(variable=variable, password=password):
            yield _Variable(
                variable, f'environment={{"{variable}": "postgresql://user@host/database?sslmode=require"}}'
            )
            yield from _variables(password)
        case SearchProjection(variable=variable):
            yield _Variable(variable, f'environment={{"{variable}": "https://domain.eu-west-1.es.amazonaws.com"}}')
        case Cache(variable=variable):
            yield _Variable(variable, f'environment={{"{variable}": "rediss://host:6379/0"}}')
        case Secret(variable=variable):
            yield _Variable(variable, f'access=[secret_access(secret.arn, "{variable}")]')
        case Sequencer(store=SequencerTable(variable=variable), ledger=ledger, timer=timer):
            if isinstance(timer, SequencerTimer):
                yield _Variable(timer.variable, "timed_out= to the Sequencer whose access() it has")
            yield _Variable(variable, f'access=[waiting.access("{variable}")], with waiting = Sequencer("waiting")')
            yield from _variables(ledger)
        case Workflow(variable=variable):
            yield _Variable(variable, f'access=[workflow.start_access("{variable}")], with workflow = Workflow(…)')
        case _:
            pass


def _allowed(access: Access) -> Iterator[str]:
    for statement in access.statements:
        if statement["Effect"] == "Allow":
            yield from statement["Action"]
