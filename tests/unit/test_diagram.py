"""`weir diagram`: the picture says what the program says."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner

from components import ChangeTable, FanOut
from ops.cli import app
from ops.diagram import pictures
from ops.diagram.command import of_program, read_state
from ops.diagram.topology import Resource, Source, topology, ways_to
from ops.mocked_program import run_mocked, with_physical_name
from tests.reference import welcome_email
from tools import diagrams

ROOT = diagrams.ROOT


@pytest.fixture(scope="module")
def prod() -> list[Source]:
    return topology(of_program(ROOT, "prod"))


def exported(resources: list[Resource]) -> str:
    """The resources as `pulumi stack export` prints them."""
    written = [
        {"type": each.type, "urn": f"urn:pulumi:prod::weir::{each.type}::{each.name}", "custom": True}
        | {"inputs": {}, "outputs": dict(each.values)}
        for each in resources
    ]
    return json.dumps({"deployment": {"resources": written}}, default=str)


def test_the_stream_feeds_the_topic_by_its_forwarder(prod: list[Source]) -> None:
    stream, topic, *_ = prod
    assert (stream.name, stream.kind, topic.name, topic.kind) == (
        "users",
        "DynamoDB stream",
        "changes",
        "SNS FIFO topic",
    )
    (forwarder,) = stream.readers
    assert forwarder.feeds == ("changes",)
    assert {"batch 100", "window 1 s", "retries unlimited", "age 64800 s", "bisect"} <= set(forwarder.delivery)


def test_a_consumer_shows_filters_numbers_failure_paths_and_alarms(prod: list[Source]) -> None:
    mail = next(each for each in prod[1].readers if each.name == "welcome-email")
    assert mail.filters[0] == "eventName: MODIFY; NewImage.plan: pro, enterprise"
    assert {"batch 10", "concurrency 50", "time-out 30 s"} <= set(mail.delivery)
    assert mail.failures == (
        "parked after 10 attempts: S3 welcome-email-failures",
        "after 1000 receives: SQS welcome-email-dead-letters",
        "not delivered by the topic: SQS welcome-email-undelivered",
    )
    assert "welcome-email-queue-age-page: 3600 s, 1 x 60 s" in mail.alarms


def test_a_consumer_without_a_failure_path_or_an_alarm_says_so() -> None:
    arn = "arn:aws:dynamodb:us-east-1:1:table/users/stream/2026"
    mapping = Resource(
        "aws:lambda/eventSourceMapping:EventSourceMapping", "bare", {"eventSourceArn": arn, "functionName": "f"}
    )
    drawn = pictures.svg("bare", topology([mapping]))
    assert "nowhere: it is lost or blocks" in drawn
    assert "no alarm" in drawn


def test_an_exported_stack_gives_the_picture_of_its_program(prod: list[Source]) -> None:
    assert topology(read_state(exported(of_program(ROOT, "prod")))) == prod


def test_forty_consumers_stay_readable_and_each_has_a_row() -> None:
    def program() -> None:
        users = ChangeTable("users", hash_key="userId")
        fan_out = FanOut("changes", source=users.stream)
        for number in range(40):
            fan_out.subscribe(welcome_email.handler, name=f"consumer-{number}", repeats="nothing happens twice")

    run = run_mocked(program)
    sources = topology(
        Resource(each.type, each.name, {**run.created[each.urn].outputs, **with_physical_name(each).inputs})
        for each in run.registrations
        if each.custom
    )
    document = ET.fromstring(pictures.svg("forty", sources))
    texts = document.iter("{http://www.w3.org/2000/svg}text")
    names = [(each.text, float(each.get("x", 0)), float(each.get("y", 0))) for each in texts]
    rows = {text: (x, y) for text, x, y in names if text and text.startswith("consumer-") and x == 30}
    assert [*rows] == [f"consumer-{number}" for number in range(40)]
    assert len({y for _, y in rows.values()}) == 40
    # No text leaves its column: the next one begins to the right of its end.
    for text, x, y in names:
        beside = [other for _, other, at in names if at == y and other > x]
        assert not beside or x + len(text or "") * 6.6 <= min(beside) + 6.6


def test_mermaid_has_an_arrow_for_each_reader_and_failure_path(prod: list[Source]) -> None:
    text = pictures.mermaid(prod)
    assert text.startswith("flowchart LR\n")
    assert text.count("-.->") == sum(len(reader.failures) for source in prod for reader in source.readers)
    assert '-->|"eventName: MODIFY; NewImage.plan: pro, enterprise' in text


def test_the_command_writes_a_picture(tmp_path: Path) -> None:
    file = tmp_path / "dev.svg"
    done = CliRunner().invoke(app, ["diagram", "-s", "dev", "--program", str(ROOT), "-o", str(file)])
    assert (done.exit_code, done.output) == (0, "")
    ET.fromstring(file.read_text(encoding="utf-8"))


@pytest.fixture
def pulumi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file, where a test writes the script that stands for the Pulumi CLI."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    script = folder / "pulumi"
    script.touch(0o755)
    return script


def test_a_deployed_stack_is_drawn_as_pulumi_exports_it(pulumi: Path, tmp_path: Path, prod: list[Source]) -> None:
    (tmp_path / "export.json").write_text(exported(of_program(ROOT, "prod")), encoding="utf-8")
    script = (
        "#!/bin/sh",
        '[ "$*" = "stack export --stack acme/weir/prod" ] || exit 3',
        f'[ "$PWD" = "{ROOT}" ] || exit 4',
        # The test's PATH has no `cat`.
        f'while IFS= read -r line || [ -n "$line" ]; do printf "%s\\n" "$line"; done < {tmp_path}/export.json',
    )
    pulumi.write_text("\n".join(script), encoding="utf-8")
    done = CliRunner().invoke(app, ["diagram", "-s", "acme/weir/prod", "--deployed", "--program", str(ROOT)])
    assert done.exit_code == 0, done.output
    assert done.output == pictures.svg("acme/weir/prod (deployed)", prod)


def test_a_stack_that_pulumi_cannot_export_is_one_line_with_its_reason(pulumi: Path) -> None:
    pulumi.write_text("#!/bin/sh\necho \"error: no stack named 'prod' found\" >&2\nexit 255\n", encoding="utf-8")
    done = CliRunner().invoke(app, ["diagram", "-s", "prod", "--deployed", "--program", str(ROOT)])
    assert (done.exit_code, done.output) == (
        2,
        "pulumi stack export --stack prod: error: no stack named 'prod' found\n",
    )


def test_without_pulumi_the_export_can_come_from_elsewhere(pulumi: Path) -> None:
    pulumi.unlink()
    done = CliRunner().invoke(app, ["diagram", "--deployed", "--program", str(ROOT)])
    assert done.exit_code == 2
    assert "pulumi is not installed: run `pulumi stack export` elsewhere and give --state FILE" in done.output


def test_the_failing_record_s_picture_has_both_ways_of_each_step() -> None:
    document = ET.fromstring(pictures.failing_record())
    texts = [each.text or "" for each in document.iter("{http://www.w3.org/2000/svg}text")]
    for step, *ways in pictures.FAILING_RECORD:
        assert step in texts
        assert len(ways) == 2
        assert all(" ".join(way.split()) in " ".join(texts) for way in ways)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--state", "nowhere.json"], "nowhere.json: No such file"),
        (["--state", __file__], "this is not a stack: give what `pulumi stack export` prints"),
        (["-s", "nowhere", "--program", str(ROOT)], "Pulumi.nowhere.yaml does not exist"),
    ],
)
def test_what_cannot_be_read_is_one_line_and_exit_2(arguments: list[str], message: str) -> None:
    done = CliRunner().invoke(app, ["diagram", *arguments])
    assert done.exit_code == 2
    assert message in done.output


def test_the_pictures_of_the_documents_are_current_or_make_docs_must_be_run() -> None:
    assert diagrams.written_files.stale(diagrams.drawn(), diagrams.FOLDER.glob("*.svg")) == []


def test_a_picture_of_one_consumer_shows_how_its_changes_come_and_no_other(prod: list[Source]) -> None:
    shown = [(source.name, [reader.name for reader in source.readers]) for source in ways_to(["welcome-email"], prod)]
    assert shown == [("users", ["changes-forwarder"]), ("changes", ["welcome-email"])]


def test_a_consumer_that_is_not_there_is_one_line_and_exit_2() -> None:
    done = CliRunner().invoke(app, ["diagram", "--only", "fax", "--program", str(ROOT)])
    assert (done.exit_code, "there is no consumer or pipe 'fax': there are changes-forwarder" in done.output) == (
        2,
        True,
    )


def test_every_picture_stands_in_a_document() -> None:
    documents = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs").rglob("*.md"))
    assert [path.name for path in diagrams.drawn() if f"pictures/{path.name}" not in documents] == []
