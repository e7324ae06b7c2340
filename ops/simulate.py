"""`weir simulate`: runs scenarios on a virtual clock and prints what AWS would do."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from local.simulation.parsing import InvalidScenario, parse
from local.simulation.report import Happening, Report
from local.simulation.scenario import Scenario
from local.simulation.simulate import simulate as run
from ops.picture import picture
from ops.timeline import MoreLikeThese, shortened, why_given_up

_STYLES = {"success": "green", "partial": "yellow", "error": "red", "timeout": "red", "throttled": "magenta"}
#: Identifiers of a batch that are written out; of more only the first and the last.
_NAMED = 6
#: Columns of the output without a terminal.
_PLAIN_WIDTH = 140
_COLUMNS = ("t", "shard", "lane", "event", "attempt", "records", "age")


def simulate(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE", allow_dash=True, help="Scenarios (YAML or JSON); - is standard input."),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON (docs/simulate.md).")] = False,
    drawing: Annotated[
        Path | None,
        typer.Option("--picture", metavar="FILE.svg", help="Also draw the run as an SVG."),
    ] = None,
) -> None:
    """Simulate what Lambda, or a pipe, would do with given records, settings and failures.

    Time is virtual: a day of retries takes no time. A scenario is a YAML or JSON file; docs/simulate.md describes it,
    and examples/scenarios/ has one for every behaviour. Exits 2 if a scenario is wrong, with one line per problem.
    """
    if drawing is not None and len(files) != 1:
        sys.stderr.write("--picture draws one scenario: give one file\n")
        raise typer.Exit(2)
    console = Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=_PLAIN_WIDTH)
    progress = Console(stderr=True)
    for file in files:
        with progress.status(f"simulate {escape(str(file))}"):
            scenario = _read(file, prefix=f"{file}: " if len(files) > 1 else "")
            report = run(scenario)
        sys.stderr.writelines(f"{file}: {line}\n" for line in scenario.skipped)
        if as_json:
            sys.stdout.write(json.dumps(report.document, indent=2) + "\n")
        else:
            _show(console, file, scenario, report)
        if drawing is not None:
            _draw(drawing, scenario, report, title=file.stem)


def _read(file: Path, *, prefix: str) -> Scenario:
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
        return parse(text)
    except (OSError, UnicodeDecodeError) as error:
        sys.stderr.write(f"{file}: {error.strerror if isinstance(error, OSError) else error}\n")
    except InvalidScenario as error:
        sys.stderr.writelines(f"{prefix}{line}\n" for line in str(error).splitlines())
    raise typer.Exit(2)


def _draw(drawing: Path, scenario: Scenario, report: Report, *, title: str) -> None:
    try:
        drawing.write_text(picture(report, scenario.written(), title=title), encoding="utf-8")
    except OSError as error:
        sys.stderr.write(f"{drawing}: {error.strerror}\n")
        raise typer.Exit(2) from error


def _show(console: Console, file: Path, scenario: Scenario, report: Report) -> None:
    timeline = Table(title=escape(str(file)), title_justify="left", box=None, pad_edge=False)
    # The name of an only shard adds nothing, and is half as wide as a terminal.
    left_out = () if len(scenario.stream.shards) > 1 else ("shard",)
    for heading in _COLUMNS:
        if heading not in left_out:
            justify = "right" if heading in ("t", "lane", "attempt", "age") else "left"
            timeline.add_column(heading, justify=justify, overflow="fold")
    for each in shortened(report.timeline):
        for row in _rows(each, scenario.starts_at):
            timeline.add_row(*(cell for heading, cell in zip(_COLUMNS, row, strict=True) if heading not in left_out))
    console.print(timeline)
    console.print()
    for line in _summary(scenario, report):
        console.print(line, soft_wrap=not console.is_terminal)
    console.print()


def _rows(each: Happening | MoreLikeThese, starts_at: float) -> Iterator[tuple[str, ...]]:
    if isinstance(each, MoreLikeThese):
        yield _more(each)
        return
    yield _row(each.kind, each.entry)
    yield from (_logged(record, starts_at) for record in each.log)


def _more(these: MoreLikeThese) -> tuple[str, ...]:
    return "", "", "", "[dim]…[/]", "", f"[dim]{these.count} more like these[/]", ""


def _row(kind: str, entry: Mapping[str, Any]) -> tuple[str, ...]:
    t = f"{entry['t']:.3f}"
    match kind:
        case "invocations":
            outcome = entry["outcome"]
            age = f"{entry['iteratorAgeMs'] / 1000:.1f} s"
            word = f"[{_STYLES[outcome]}]{outcome}[/]"
            return (
                t,
                escape(entry["shard"]),
                str(entry["lane"]),
                word,
                str(entry["attempt"]),
                _named(entry["identifiers"]),
                age,
            )
        case "onFailure" if "messageId" in entry["body"]:
            letter = entry["body"]
            named = f"{letter['messageId']} ({why_given_up(letter)})"
            return t, "", "", "[bold red]redrive[/]", "", escape(named), ""
        case "onFailure":
            body = entry["body"]
            info: Mapping[str, Any] = next(body[name] for name in body if name.endswith("BatchInfo"))
            first, last = info.get("startSequenceNumber"), info.get("endSequenceNumber")
            which = "the window's final call" if first is None else first if first == last else f"{first} to {last}"
            where = "dead letter" if entry["delivered"] else "dead letter not delivered"
            return t, escape(info["shardId"]), "", f"[bold red]{where}[/]", "", f"{which} ({why_given_up(body)})", ""
        case _:
            return t, "", "", "[bold red]dropped[/]", "", f"{_named(entry['identifiers'])} ({entry['reason']})", ""


def _logged(record: Mapping[str, Any], starts_at: float) -> tuple[str, ...]:
    """Return the row of a record in a pipe's log, which follows its execution."""
    logged = [record["messageType"]]
    if "error" in record:
        logged.append(record["error"]["message"])
    logged += [f"{name}={record[name]}" for name in ("payload", "awsRequest", "awsResponse") if name in record]
    t = f"{record['timestamp'] / 1000 - starts_at:.3f}"
    return f"[dim]{t}[/]", "", "", f"[dim]log {record['logLevel']}[/]", "", f"[dim]{escape(': '.join(logged))}[/]", ""


def _named(identifiers: list[str]) -> str:
    if not identifiers:
        return "none: the window's final call"
    if len(identifiers) <= _NAMED:
        return escape(", ".join(identifiers))
    return escape(f"{identifiers[0]} to {identifiers[-1]}, {len(identifiers)} records")


def _summary(scenario: Scenario, report: Report) -> Iterator[str]:
    document = report.document
    outcomes = [each["outcome"] for each in document["invocations"]]
    counted = ", ".join(f"{outcomes.count(each)} {each}" for each in _STYLES if each in outcomes)
    yield f"{len(outcomes)} invocations" + (f": {counted}" if counted else "")
    metrics = {name: value for name, value in document["metrics"].items() if value}
    width = max((len(str(value)) for value in metrics.values()), default=0)
    yield from (f"  {value:>{width}}  {name}" for name, value in metrics.items())
    if scenario.event_source_mapping is not None and not _counts_events(scenario.event_source_mapping):
        yield "Without MetricsConfig EventCount, AWS publishes none of the metrics whose names end in EventCount."
    for shard, checkpoint in document["checkpoints"].items():
        yield f"{escape(shard)}: " + (f"done up to {checkpoint}" if checkpoint else "nothing done")
    if document["filteredOut"]:
        yield f"filtered out: {_named(document['filteredOut'])}"
    if document["unfinished"]:
        yield f"unfinished: {_named(document['unfinished'])}"
    for rule in report.never_applied:
        yield f"[yellow]{rule} applied to no invocation[/]"


def _counts_events(mapping: Mapping[str, Any]) -> bool:
    return "EventCount" in mapping.get("MetricsConfig", {}).get("Metrics", [])
