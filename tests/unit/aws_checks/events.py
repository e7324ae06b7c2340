"""Events of a pattern's source that the pattern matches: the proof that a filter or a rule is not dead.

An event has the shape that its source gives it, and only what people choose in it (attributes of items, contents of
messages, details) is filled in from the pattern. So a pattern that asks for anything else matches none of them.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from aws_semantics.event_patterns import lint, matches
from aws_semantics.event_patterns.lint import IMAGES_OF, LACKED_BY
from aws_semantics.event_patterns.operators import plain_number
from aws_semantics.event_patterns.syntax import Clause, expand, parse
from local.deploy.program import Registration

Path = tuple[str, ...]

#: Type descriptors with a value below them.
_SCALARS = ("S", "N", "B", "SS", "NS", "BS", "BOOL", "NULL")
_BOTH_IMAGES = "NEW_AND_OLD_IMAGES"
_NOTHING = object()


@dataclass(frozen=True)
class Sample:
    """An event of a source.

    Attributes:
        event: The event, as far as the source alone decides.
        free: Tells whether the value at a path is chosen, by people or for each event.
    """

    event: Mapping[str, Any]
    free: Callable[[Path], bool]

    def below(self, name: str) -> Sample:
        """Return the event that has this one as its member."""
        return Sample({name: self.event}, lambda path: path[0] == name and self.free(path[1:]))


@dataclass(frozen=True)
class Stream:
    """The stream of a table, as far as a program says it.

    Attributes:
        view_type: Its view type; `None` if unknown.
        keys: The type descriptors of the table's keys by their names; `None` if unknown.
    """

    view_type: str | None = None
    keys: Mapping[str, str] | None = None

    def samples(self) -> Iterator[Sample]:
        """Yield a record of each kind of change."""
        view = self.view_type or _BOTH_IMAGES
        for name in ("INSERT", "MODIFY", "REMOVE"):
            images = [each for each in IMAGES_OF[view] if LACKED_BY[each] != name]
            keys = {each: {kind: "1"} for each, kind in (self.keys or {}).items()}
            record = {
                "eventID": "0123456789abcdef0123456789abcdef",
                "eventName": name,
                "eventVersion": "1.1",
                "eventSource": "aws:dynamodb",
                "awsRegion": "us-east-1",
                "dynamodb": {
                    "ApproximateCreationDateTime": 1769848200.0,
                    "Keys": keys,
                    "SequenceNumber": "1",
                    "SizeBytes": 100,
                    "StreamViewType": view,
                    **{image: copy.deepcopy(keys) for image in images},
                },
            }
            yield Sample(record, self._free(images))
            if name == "REMOVE":
                by_time = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
                yield Sample({**record, "userIdentity": by_time}, self._free(images))

    def _free(self, images: Sequence[str]) -> Callable[[Path], bool]:
        def free(path: Path) -> bool:
            if path in (("eventID",), ("awsRegion",)):
                return True
            if len(path) < 4 or path[0] != "dynamodb" or not _described(path[3:]):
                return False
            if path[1] == "Keys":
                return self.keys is None or self.keys.get(path[2]) == path[3]
            return path[1] in images

        return free


def _described(path: Path) -> bool:
    """Tell whether a path below an attribute's name is one of type descriptors: `M` has names below it, `L` values."""
    match path:
        case (descriptor,):
            return descriptor in _SCALARS
        case ("M", _, *rest) | ("L", *rest):
            return _described(tuple(rest))
        case _:
            return False


def _fits(path: Path, value: Any) -> bool:
    """Tell whether DynamoDB writes a value of a kind at a path."""
    match path[-1]:
        case "N" | "NS":
            return isinstance(value, str) and _is_number(value)
        case "BOOL":
            return isinstance(value, bool)
        case "NULL":
            return value is True
        case descriptor if descriptor in _SCALARS:
            return isinstance(value, str)
        case _:
            return True


def _is_number(text: str) -> bool:
    try:
        return "E" in text or plain_number(Decimal(text)) == text
    except InvalidOperation:
        return False


def event_for(pattern: str | Mapping[str, Any], samples: Iterable[Sample]) -> Mapping[str, Any] | None:
    """Return an event that a pattern matches; `None` if there is none among those that the samples can become."""
    ways = [[clause for clause in way if isinstance(clause, Clause)] for way in expand(parse(pattern))]
    for sample in samples:
        for way in ways:
            event: dict[str, Any] = copy.deepcopy(dict(sample.event))
            for clause in way:
                if not clause.field.absent and sample.free(clause.path):
                    _put(event, clause, changes="dynamodb" in clause.path)
            if matches(pattern, event):
                return event
    return None


def _put(event: dict[str, Any], clause: Clause, *, changes: bool) -> None:
    accepted = (
        each
        for each in _candidates(clause.alternatives)
        if clause.field.accepts(each) and (not changes or _fits(clause.path, each))
    )
    value = next(accepted, _NOTHING)
    if value is _NOTHING:
        return
    *way, last = clause.path
    for name in way:
        event = event.setdefault(name, {})
        if not isinstance(event, dict):
            return
    event[last] = [value] if last in ("SS", "NS", "BS") else value


def _candidates(alternatives: Iterable[Any]) -> Iterator[Any]:
    """Yield values, among them one for each alternative that can be satisfied."""
    for alternative in alternatives:
        match alternative:
            case {"numeric": [*bounds]}:
                for bound in (each for each in bounds if not isinstance(each, str)):
                    yield from (bound, bound + 1, bound - 1)
            case {"cidr": str(network)}:
                yield network.partition("/")[0]
            case {"wildcard": str(text)}:
                yield text.replace("*", "")
            case {"anything-but": _} | {"exists": True}:
                yield from ("anything", 123_456_789, "123456789", True, False)
            case Mapping():
                for value in alternative.values():
                    yield value.get("equals-ignore-case") if isinstance(value, Mapping) else value
            case _:
                yield alternative


def dead_patterns(resources: Sequence[Registration]) -> list[str]:
    """List the patterns of a program that cannot match any event of their source, or say what they do not mean."""
    program = _Program(resources)
    return [
        f"{each.name}: {pattern}: {reason}"
        for each in resources
        for pattern, samples, stream in program.patterns_of(each)
        for reason in _reasons(pattern, samples, stream)
    ]


def _reasons(pattern: str, samples: Iterable[Sample], stream: tuple[str, Stream] | None) -> Iterator[str]:
    if event_for(pattern, samples) is None:
        yield "it matches no event of its source"
    if stream is not None:
        member, of = stream
        document = json.loads(pattern)
        inner = document.get(member) if member else document
        if isinstance(inner, Mapping) and inner != {"eventName": [{"exists": False}]}:  # a claim check has no name
            yield from map(str, lint(inner, of.view_type, keys=of.keys))


#: A pattern, the samples of its source, and the stream whose records are in a member of its events.
_Found = tuple[str, list[Sample], tuple[str, Stream] | None]


class _Program:
    """The resources of a program, joined by their ARNs."""

    def __init__(self, resources: Sequence[Registration]) -> None:
        self._resources = resources

    def patterns_of(self, resource: Registration) -> Iterator[_Found]:
        inputs = resource.inputs
        match resource.type.rpartition(":")[2]:
            case "EventSourceMapping":
                criteria, source = inputs.get("filterCriteria"), str(inputs["eventSourceArn"])
            case "Pipe":
                criteria, source = inputs.get("sourceParameters", {}).get("filterCriteria"), str(inputs["source"])
            case "EventRule" | "EventArchive" if "eventPattern" in inputs:
                bus = str(inputs.get("eventBusName") or inputs.get("eventSourceArn") or "default")
                yield inputs["eventPattern"], list(self._events_on(bus.rpartition("/")[2])), None
                return
            case _:
                return
        for each in (criteria or {}).get("filters", []):
            yield each["pattern"], *self._source(source)

    def _source(self, arn: str) -> tuple[list[Sample], tuple[str, Stream] | None]:
        service = arn.split(":")[2]
        if service == "dynamodb":
            stream = self._stream(arn)
            return list(stream.samples()), ("", stream)
        if service == "kinesis":
            # DynamoDB puts both images into Kinesis, whatever the view type of the table's own stream.
            table = next((t for d, t in self._replicated() if d == arn), None)
            stream = Stream(_BOTH_IMAGES, self._keys(table))
            return [sample.below("data") for sample in stream.samples()], ("data", stream)
        if service == "sqs" and (topic := self._topic_into(arn)):
            stream = self._published(topic)
            claim_check = Sample({"claimCheck": "s3://claim-checks/1.json"}, lambda _: False)
            return [sample.below("body") for sample in (*stream.samples(), claim_check)], ("body", stream)
        if service == "sqs":
            message = {"messageId": "1", "eventSource": "aws:sqs", "eventSourceARN": arn, "body": {}}
            return [Sample(message, lambda path: path[0] in ("body", "attributes", "messageAttributes"))], None
        raise AssertionError(f"{arn}: declare what its events look like in {__name__}")

    def _all(self, type_: str) -> Iterator[Registration]:
        return (each for each in self._resources if each.type.rpartition(":")[2] == type_)

    def _stream(self, arn: str) -> Stream:
        name = arn.split("/")[1]
        table = next((each for each in self._all("Table") if each.inputs.get("name") == name), None)
        return Stream() if table is None else Stream(table.inputs.get("streamViewType"), self._keys(table))

    @staticmethod
    def _keys(table: Registration | None) -> Mapping[str, str] | None:
        if table is None:
            return None
        types = {each["name"]: each["type"] for each in table.inputs["attributes"]}
        return {name: types[name] for key in ("hashKey", "rangeKey") if (name := table.inputs.get(key))}

    def _replicated(self) -> Iterator[tuple[str, Registration | None]]:
        for each in self._all("KinesisStreamingDestination"):
            name = each.inputs["tableName"]
            yield each.inputs["streamArn"], next((t for t in self._all("Table") if t.inputs.get("name") == name), None)

    def _topic_into(self, queue: str) -> str | None:
        found = (each.inputs["topic"] for each in self._all("TopicSubscription") if each.inputs["endpoint"] == queue)
        return next(found, None)

    def _published(self, topic: str) -> Stream:
        """Return the stream whose changes a function publishes to a topic."""
        for function in self._all("Function"):
            if topic in function.inputs.get("environment", {}).get("variables", {}).values():
                for mapping in self._all("EventSourceMapping"):
                    if str(mapping.inputs["functionName"]).rpartition(":")[2] == function.inputs.get("name"):
                        return self._stream(str(mapping.inputs["eventSourceArn"]))
        return Stream()

    def _events_on(self, bus: str) -> Iterator[Sample]:
        """Yield what the program's pipes put on a bus; anything where no pipe does."""
        pipes = [each for each in self._all("Pipe") if str(each.inputs["target"]).endswith(f":event-bus/{bus}")]
        for pipe in pipes or [None]:
            given: Mapping[str, Any] = {}
            if pipe is not None:
                given = pipe.inputs.get("targetParameters", {}).get("eventbridgeEventBusParameters", {})
            fixed = {
                member: given[name]
                for name, member in (("source", "source"), ("detailType", "detail-type"))
                if name in given and not str(given[name]).startswith("$")
            }
            envelope = {"version": "0", "id": "1", "account": "111122223333", "region": "us-east-1", "resources": []}
            open_ = {"detail", *({"source", "detail-type", "resources"} - fixed.keys())}
            event = {**envelope, "source": "any", "detail-type": "any", "detail": {}, **fixed}
            yield Sample(event, lambda path, open_=frozenset(open_): path[0] in open_)
