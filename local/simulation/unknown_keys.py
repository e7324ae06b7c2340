"""Messages about keys that a scenario does not have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from local.api_models import members
from local.engine.spelling import meant
from local.simulation.records import Attributes, KinesisPart, MessageAttribute, ScenarioRecord, StreamRecordPart, Strict
from local.simulation.scenario import Scenario
from local.simulation.sections import Destination, Function, Queue, Rule, Shard, Stream, When

#: The part of a scenario at each place, list indices and names of message attributes left out.
_PARTS: Mapping[tuple[str, ...], type[Strict]] = {
    (): Scenario,
    ("function",): Function,
    ("stream",): Stream,
    ("stream", "shards"): Shard,
    ("queue",): Queue,
    ("destination",): Destination,
    ("records",): ScenarioRecord,
    ("records", "dynamodb"): StreamRecordPart,
    ("records", "kinesis"): KinesisPart,
    ("records", "attributes"): Attributes,
    ("records", "messageAttributes"): MessageAttribute,
    ("handler",): Rule,
    ("handler", "when"): When,
    ("enrichment",): Rule,
    ("enrichment", "when"): When,
}
#: Operations whose parameters a scenario has at a place.
_OPERATIONS = {("eventSourceMapping",): ("lambda", "CreateEventSourceMapping"), ("pipe",): ("pipes", "CreatePipe")}


def unknown_key(way: Sequence[int | str], name: str) -> str:
    """Return the message about an unknown key, with the key that was probably meant.

    A key of the same part comes first, then one of another part, by its way from the top.

    Args:
        way: The way to the part that has the key.
        name: The key.
    """
    place = _place(way)
    known = {place: _keys(_PARTS[place]) for place in _PARTS}
    found = meant(name, known.get(place, ()))
    if found is None:
        same = name.casefold()
        elsewhere = {**known, **{place: members(*operation) for place, operation in _OPERATIONS.items()}}
        ways = [(*part, key) for part, keys in elsewhere.items() for key in keys if key.casefold() == same]
        found = ".".join(ways[0]) if ways else None
    return "unknown key" + ("" if found is None else f", did you mean {found}?")


def _place(way: Sequence[int | str]) -> tuple[str, ...]:
    names = tuple(each for each in way if isinstance(each, str))
    return names[:2] if names[1:2] == ("messageAttributes",) else names


def _keys(part: type[Strict]) -> list[str]:
    return [field.alias or name for name, field in part.model_fields.items()]
