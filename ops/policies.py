"""`weir policies`: the way into the policy pack for programs that run already."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NamedTuple, NoReturn

import typer

#: The name of the policy pack, as its events carry it.
PACK = "weir"
#: The policy of the pack that takes exemptions for many rules (docs/policies/README.md).
EXEMPTIONS = "exemptions"

policies = typer.Typer(
    help="Bring the policy pack to a program that runs already.", no_args_is_help=True, rich_markup_mode=None
)


class Violation(NamedTuple):
    """A violation that Pulumi reported.

    Attributes:
        urn: The resource; empty for one of the whole stack.
        rule: The id of the rule.
    """

    urn: str
    rule: str


class NoEvents(ValueError):
    """A text that holds no events of Pulumi."""


@policies.callback()
def _policies() -> None:
    """Bring the policy pack to a program that runs already (docs/policies/adopting.md)."""


@policies.command()
def baseline(
    events: Annotated[
        Path,
        typer.Argument(
            metavar="EVENTS",
            allow_dash=True,
            help="What `pulumi policy analyze --json` or `pulumi preview --event-log FILE` wrote; - is standard input.",
        ),
    ],
    into: Annotated[
        Path | None,
        typer.Option(
            "--into", metavar="CONFIG.json", help="Add the exemptions to this configuration file; it may not exist yet."
        ),
    ] = None,
    date: Annotated[
        str | None, typer.Option(metavar="YYYY-MM-DD", help="The date in the reason; today when not given.")
    ] = None,
    pack: Annotated[str, typer.Option(metavar="NAME", help="The name of the policy pack in the events.")] = PACK,
) -> None:
    """Write exemptions for the violations of today, so that only new ones are reported.

    Prints a configuration for --policy-pack-config with one exemption for each resource and the rules it breaks, with
    the reason "baseline <date>". Remove them one after another as the program gets better; the pack reports those that
    match no resource any more.

    Exits 2 when the events or the configuration cannot be read.
    """
    try:
        day = (datetime.fromisoformat(date) if date else datetime.now(UTC)).date()
    except ValueError:
        _stop(f"--date {date} is not a date: write it like 2026-11-30")
    try:
        text = sys.stdin.read() if str(events) == "-" else events.read_text(encoding="utf-8")
        found = [*violations(text, pack)]
        config = _read_config(into) if into is not None and into.exists() else {}
        added = extend(config, found, reason=f"baseline {day}")
    except (OSError, UnicodeDecodeError) as error:
        _stop(
            f"{error.filename if isinstance(error, OSError) else events}: {getattr(error, 'strerror', None) or error}"
        )
    except ValueError as error:
        _stop(str(error))
    written = json.dumps(config, indent=2) + "\n"
    if into is None:
        sys.stdout.write(written)
    else:
        into.write_text(written, encoding="utf-8")
    every = set(found)
    of_the_stack = {violation for violation in every if not violation.urn}
    sys.stderr.write(f"{added} exemptions added for {len(every - of_the_stack)} violations\n")
    if of_the_stack:
        sys.stderr.write(f"{len(of_the_stack)} violations name no resource and cannot be exempted: fix those\n")


def violations(text: str, pack: str = PACK) -> Iterator[Violation]:
    """Read the violations of a pack from Pulumi's events: JSON lines, or one JSON document.

    Args:
        text: The events.
        pack: The name of the policy pack.

    Raises:
        NoEvents: The text is not JSON.

    Example:
        >>> list(violations('{"policyEvent": {"resourceUrn": "urn:a", "policyName": "starting-position"}}'))
        [Violation(urn='urn:a', rule='starting-position')]
    """
    for event in _policy_events(_documents(text)):
        # An event of a passed check, or of another pack, is none of ours.
        if event.get("policyPackName", pack) == pack and event.get("enforcementLevel") not in ("none", "disabled"):
            yield Violation(str(event.get("resourceUrn") or event.get("urn") or ""), str(event["policyName"]))


def extend(config: dict[str, Any], found: Iterable[Violation], *, reason: str) -> int:
    """Add exemptions for violations to a configuration of the pack; ones that are there already stay as they are.

    Args:
        config: The configuration; it is changed.
        found: The violations.
        reason: The reason of each exemption.

    Returns:
        The number of exemptions added.

    Raises:
        ValueError: The configuration has another shape.
    """
    given: Any = config.get(EXEMPTIONS, {})
    setting: Any = {"enforcementLevel": given} if isinstance(given, str) else given
    entries: Any = setting.get("exemptions", []) if isinstance(setting, dict) else None
    if not isinstance(entries, list):
        raise ValueError(f"the configuration's {EXEMPTIONS!r} is not an object with a list of exemptions")
    known = {
        (entry.get("urn"), rule)
        for entry in entries
        if isinstance(entry, dict)
        for rule in ([entry["rules"]] if isinstance(entry.get("rules"), str) else entry.get("rules") or ())
    }
    rules_of: dict[str, list[str]] = {}
    for urn, rule in sorted(set(found)):
        if urn and (urn, rule) not in known and (urn, "*") not in known:
            rules_of.setdefault(urn, []).append(rule)
    added = [{"urn": urn, "rules": rules, "reason": reason} for urn, rules in rules_of.items()]
    config[EXEMPTIONS] = {"enforcementLevel": "advisory", **setting, "exemptions": [*entries, *added]}
    return len(added)


def _documents(text: str) -> list[Any]:
    """Parse one JSON document, or one on each line; lines of other output between them are skipped."""
    try:
        return [json.loads(text)]
    except ValueError:
        pass
    found: list[Any] = []
    for line in text.splitlines():
        if line.lstrip().startswith(("{", "[")):
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
    if not found:
        raise NoEvents(
            "there are no events in it: give what `pulumi policy analyze --json` prints, or the file of "
            "`pulumi preview --event-log FILE`"
        )
    return found


def _policy_events(value: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the policy events anywhere in a document."""
    if isinstance(value, list):
        for member in value:
            yield from _policy_events(member)
    elif isinstance(value, dict):
        if "policyName" in value and ("resourceUrn" in value or "message" in value):
            yield value
        else:
            for member in value.values():
                yield from _policy_events(member)


def _read_config(file: Path) -> dict[str, Any]:
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as wrong:
        raise ValueError(f"{file} is not JSON: {wrong}") from wrong
    if not isinstance(config, dict):
        raise ValueError(f"{file} is not a configuration: an object of rules and their settings")
    return config


def _stop(message: str) -> NoReturn:
    sys.stderr.write(f"{message}\n")
    raise typer.Exit(2)
