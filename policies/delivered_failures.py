"""The alarm on the records that a mapping delivers to its failure destination."""

from __future__ import annotations

from policies.alarm_demands import A_THRESHOLD, Demand, is_heard, lacking
from policies.graph import Stack, known_text
from policies.metric_alarms import Target, alarms, reacts
from policies.regions import region_of
from policies.resources import Resource

#: More records than any batch holds: an alarm that is silent then looks the other way.
_MANY = 1e12


def lacking_alarm(stack: Stack, mapping: Resource) -> str | None:
    """Tell what is missing for an alarm on a mapping's OnFailureDestinationDeliveredEventCount; `None` with one.

    Raises:
        Awaited: That depends on a value that is not known.
    """
    found = alarms(stack)
    target = Target(known_text(mapping, "uuid"), [mapping.urn], region_of(mapping))
    return lacking(
        found.on("AWS/Lambda", "OnFailureDestinationDeliveredEventCount", "EventSourceMappingUUID", target),
        "no alarm watches what the mapping delivers to its failure destination",
        [
            A_THRESHOLD,
            Demand(lambda watched: reacts(watched, _MANY), "the alarm does not fire when batches are delivered"),
            is_heard(found),
        ],
    )
