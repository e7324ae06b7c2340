"""`weir simulate`: what AWS would do with these records, settings and outcomes, on a virtual clock."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from local.simulation.report import Happening, Report
from local.simulation.scenario import InvalidScenario, Scenario, parse
from local.simulation.simulate import simulate as run
from ops.picture import TooManyRecords, picture
from ops.timeline import MoreLikeThese, shortened

_STYLES = {"success": "green", "partial": "yellow", "error": "red", "timeout": "red", "throttled": "magenta"}
#: Identifiers of a batch that are written out; more are cut to the first and the last.
_NAMED = 6
#: Columns where there is no terminal to ask.
_PLAIN_WIDTH = 140


def simulate(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", allow_dash=True, help="Scenarios (YAML or JSON); - is standard input."),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON (docs/simulate.md).")] = False,
    drawing: Annotated[
        Path | None,
        typer.Option("--picture", metavar="FILE.svg", help="Also draw which records each invocation had, as an SVG."),
    ] = None,
) -> None:
    """What would Lambda, or a pipe, do with these records, settings and failures?

    Exits 2 when a scenario is wrong, with one line per problem.
    """
    if drawing is not None and len(files) != 1:
        sys.stderr.write("--picture draws one scenario: give one file\n")
        raise typer.Exit(2)
    console = Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=_PLAIN_WIDTH)
    for file in files:
        scenario = _read(file)
        report = run(scenario)
        if drawing is not None:
            _draw(drawing, scenario, report, title=file.stem)
        if as_json:
            sys.stdout.write(json.dumps(report.document, indent=2) + "\n")
        else:
            _show(console, file, scenario, report)


def _read(file: Path) -> Scenario:
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
        return parse(text)
    except (OSError, UnicodeDecodeError) as error:
        sys.stderr.write(f"{file}: {error.strerror if isinstance(error, OSError) else error}\n")
    except InvalidScenario as error:
        sys.stderr.write(f"{error}\n")
    raise typer.Exit(2)


def _draw(drawing: Path, scenario: Scenario, report: Report, *, title: str) -> None:
    try:
        drawing.write_text(picture(report, scenario.identifiers(), title=title), encoding="utf-8")
    except (TooManyRecords, OSError) as error:
        sys.stderr.write(f"{drawing}: {error.strerror if isinstance(error, OSError) else error}\n")
        raise typer.Exit(2) from error


def _show(console: Console, file: Path, scenario: Scenario, report: Report) -> None:
    timeline = Table(title=str(file), title_justify="left", box=None, pad_edge=False)
    for heading in ("t", "shard", "lane", "event", "attempt", "records", "age"):
        timeline.add_column(heading, justify="right" if heading in ("t", "lane", "attempt", "age") else "left")
    for each in shortened(report.timeline):
        match each:
            case MoreLikeThese(count, _):
                timeline.add_row("", "", "", f"[dim]{count} more like these[/]", "", "", "")
            case Happening(kind, entry):
                timeline.add_row(*_row(kind, entry))
    console.print(timeline)
    console.print()
    for line in _summary(scenario, report.document):
        console.print(line)
    console.print()


def _row(kind: str, entry: Mapping[str, Any]) -> tuple[str, ...]:
    t = f"{entry['t']:.3f}"
    match kind:
        case "invocations":
            outcome = entry["outcome"]
            age = f"{entry['iteratorAgeMs'] / 1000:.1f} s"
            word = f"[{_STYLES[outcome]}]{outcome}[/]"
            return t, entry["shard"], str(entry["lane"]), word, str(entry["attempt"]), _named(entry["identifiers"]), age
        case "onFailure":
            body = entry["body"]
            condition = body.get("requestContext", body.get("context", {}))["condition"]
            info: Mapping[str, Any] = next(body[name] for name in body if name.endswith("BatchInfo"))
            first, last = info.get("startSequenceNumber"), info.get("endSequenceNumber")
            which = "the window's final call" if first is None else first if first == last else f"{first} to {last}"
            where = "dead letter" if entry["delivered"] else "dead letter not delivered"
            return t, info["shardId"], "", f"[bold red]{where}[/]", "", f"{which} ({condition})", ""
        case _:
            return t, "", "", "[bold red]dropped[/]", "", f"{_named(entry['identifiers'])} ({entry['reason']})", ""


def _named(identifiers: list[str]) -> str:
    if not identifiers:
        return "none: the window's final call"
    if len(identifiers) <= _NAMED:
        return ", ".join(identifiers)
    return f"{identifiers[0]} to {identifiers[-1]}, {len(identifiers)} records"


def _summary(scenario: Scenario, document: Mapping[str, Any]) -> Iterator[str]:
    metrics = document["metrics"]
    outcomes = [each["outcome"] for each in document["invocations"]]
    counted = ", ".join(f"{outcomes.count(each)} {each}" for each in _STYLES if each in outcomes)
    yield f"{len(outcomes)} invocations" + (f": {counted}" if counted else "")
    yield "  ".join(f"{name} {value}" for name, value in metrics.items())
    if scenario.event_source_mapping is not None and not _counts_events(scenario.event_source_mapping):
        yield "Without MetricsConfig EventCount, AWS publishes none of the metrics whose names end in EventCount."
    for shard, checkpoint in document["checkpoints"].items():
        yield f"{shard}: " + (f"done up to {checkpoint}" if checkpoint else "nothing done")
    if document["filteredOut"]:
        yield f"filtered out: {_named(document['filteredOut'])}"
    if document["unfinished"]:
        yield f"unfinished: {_named(document['unfinished'])}"


def _counts_events(mapping: Mapping[str, Any]) -> bool:
    return "EventCount" in mapping.get("MetricsConfig", {}).get("Metrics", [])
