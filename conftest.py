"""Runs the examples of docstrings and documents as tests."""

import asyncio
from doctest import ELLIPSIS

from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser
from sybil.parsers.rest import DocTestParser

docstrings = Sybil(parsers=[DocTestParser(optionflags=ELLIPSIS)], pattern="*.py", path=".", excludes=["tests/**"])


def has_an_event_loop_to_come(_: object) -> None:
    """Let Pulumi make the event loop of a document's program, also where another test has closed the thread's."""
    asyncio.set_event_loop_policy(None)


documents = Sybil(
    setup=has_an_event_loop_to_come,
    parsers=[PythonCodeBlockParser(doctest_optionflags=ELLIPSIS)],
    patterns=["*.md"],
    path=".",
)

pytest_collect_file = (docstrings + documents).pytest()
