"""`weir diagram`: draws the program, or a stack that is deployed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from local.deploy.stack_files import read_stack_files
from ops.diagram import pictures
from ops.diagram.topology import Resource, Source, topology, ways_to
from ops.mocked_program import run_mocked, with_physical_name


class Format(StrEnum):
    """The language of a picture."""

    SVG = "svg"
    MERMAID = "mermaid"


class NoStack(ValueError):
    """A stack that cannot be read. The message says why and what to give instead."""


def diagram(
    stack: Annotated[
        str, typer.Option("-s", "--stack", metavar="NAME", help="The stack whose files configure the program.")
    ] = "dev",
    deployed: Annotated[
        bool, typer.Option("--deployed", help="Draw the deployed stack instead, by `pulumi stack export`.")
    ] = False,
    state: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", allow_dash=True, help="Draw an export of `pulumi stack export`; - is standard input."
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Draw this consumer or pipe alone, and how its changes come; repeatable."),
    ] = None,
    program: Annotated[Path, typer.Option(metavar="DIRECTORY", help="The directory of the program.")] = Path(),
    language: Annotated[Format, typer.Option("--format", help="The picture's language.")] = Format.SVG,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write there.")] = None,
) -> None:
    """Draw who reads which change, by what limits, and where a failing one goes.

    Without an option the program is run under mocks: no cloud, no credentials. Each source (a table's stream, a
    fan-out's topic, a Kinesis stream) is a block with a row for each reader: its filters, the numbers of its batches,
    retries and concurrency, its failure paths and its alarms.

    weir diagram -s prod -o prod.svg         the program as prod would have it

    weir diagram -s prod --deployed          the stack as it is deployed

    weir diagram --only welcome-email        one consumer, and how its changes come

    weir diagram --format mermaid            for Markdown

    Exits 2 when program or state cannot be read.
    """
    try:
        if state is not None:
            title, resources = str(state), read_state(sys.stdin.read() if str(state) == "-" else state.read_text())
        elif deployed:
            title, resources = f"{stack} (deployed)", read_state(_export(stack, program))
        else:
            title, resources = stack, of_program(program.resolve(), stack)
        sources = topology(resources)
        if only:
            sources = ways_to(only, sources)
    except OSError as error:
        _stop(f"{error.filename}: {error.strerror}")
    except Exception as error:  # noqa: BLE001 - the program may raise anything, and its message is for its author
        _stop(str(error))
    written = draw(title, sources, language)
    if output is None:
        sys.stdout.write(written)
    else:
        output.write_text(written, encoding="utf-8")


def draw(title: str, sources: list[Source], language: Format) -> str:
    """Write a topology in a language."""
    return pictures.mermaid(sources) if language is Format.MERMAID else pictures.svg(title, sources)


def of_program(program: Path, stack: str, overrides: Mapping[str, str] | None = None) -> list[Resource]:
    """Run a program under mocks and list its resources."""
    files = read_stack_files(program, stack, overrides)
    run = run_mocked(program, project=files.project, stack=stack, config=files.config)
    return [
        Resource(each.type, each.name, {**run.created[each.urn].outputs, **with_physical_name(each).inputs})
        for each in run.registrations
        if each.custom
    ]


def read_state(text: str) -> list[Resource]:
    """List the resources of an exported stack.

    Raises:
        NoStack: The text is something else.
    """
    try:
        document: Any = json.loads(text)
        resources = document["deployment"]["resources"]
    except (ValueError, KeyError, TypeError) as error:
        raise NoStack(f"this is not a stack: give what `pulumi stack export` prints ({error})") from error
    return [
        Resource(each["type"], each["urn"].rpartition("::")[2], {**each.get("inputs", {}), **each.get("outputs", {})})
        for each in resources
        if each.get("custom") and not each.get("delete")
    ]


def _export(stack: str, program: Path) -> str:
    command = ["pulumi", "stack", "export", "--stack", stack]
    try:
        done = subprocess.run(command, cwd=program, capture_output=True, text=True, check=False)  # noqa: S603 - argv
    except FileNotFoundError as error:
        raise NoStack("pulumi is not installed: run `pulumi stack export` elsewhere and give --state FILE") from error
    if done.returncode:
        raise NoStack(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def _stop(message: str) -> NoReturn:
    sys.stderr.write(f"{message}\n")
    raise typer.Exit(2)
