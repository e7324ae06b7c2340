"""`weir simulate --picture`: a run as an SVG."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner

from local.simulation.parsing import parse
from local.simulation.simulate import simulate
from ops.cli import app
from ops.picture import MAXIMUM_RECORDS, picture
from tools.scenario_pictures import SCENARIOS, stale

cli = CliRunner()

BISECT = (SCENARIOS / "bisect.yaml").read_text(encoding="utf-8")


class Drawn:
    """Return the texts of a picture."""

    def __init__(self, text: str) -> None:
        of = text if text.startswith("<svg") else drawing(text)
        root = ET.fromstring(of)
        name = "{http://www.w3.org/2000/svg}"
        self.words = [each.text for each in root.iter(f"{name}text")]
        self.blocks: list[tuple[str, float, float, str]] = []
        for each in root.iter(f"{name}rect"):
            told = each.find(f"{name}title")
            if told is not None:
                self.blocks.append((each.attrib["class"], float(each.attrib["x"]), _height(each), told.text or ""))

    def colours(self) -> list[str]:
        return [colour for colour, *_ in sorted(self.blocks, key=lambda block: block[1])]


def _height(rectangle: ET.Element) -> float:
    return float(rectangle.attrib["height"])


Box = tuple[float, float, float, float]


def boxes(svg: str) -> tuple[list[Box], list[Box]]:
    """Return the boxes of level texts, and those of blocks and bands: left, top, right, bottom."""
    root = ET.fromstring(svg)
    name = "{http://www.w3.org/2000/svg}"
    texts: list[Box] = []
    for each in root.iter(f"{name}text"):
        if "transform" not in each.attrib:
            x, y, width = float(each.attrib["x"]), float(each.attrib["y"]), len(each.text or "") * 6.6
            left = x - {"end": width, "middle": width / 2}.get(each.attrib.get("text-anchor", ""), 0)
            texts.append((left, y - 9, left + width, y + 2))
    blocks = [
        (x, y, x + float(each.attrib["width"]), y + float(each.attrib["height"]))
        for each in root.iter(f"{name}rect")
        for x, y in [(float(each.attrib["x"]), float(each.attrib["y"]))]
    ]
    return texts, blocks


def overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def drawing(text: str) -> str:
    scenario = parse(text)
    return picture(simulate(scenario), scenario.written(), title="a scenario")


def test_each_invocation_has_a_column_and_a_bisect_looks_like_a_search():
    drawn = Drawn(BISECT)
    assert drawn.colours() == ["error", "success", "error", "error", "success", "error", "error", "letter", "success"]
    assert len({x for _, x, *_ in drawn.blocks}) == len(drawn.blocks)
    heights = [height for _, _, height, _ in sorted(drawn.blocks, key=lambda block: block[1])]
    assert heights[0] > heights[1] == heights[2] > heights[3] == heights[8] > heights[4] == heights[5]


def test_it_names_the_records_and_tells_the_time_of_what_happened():
    drawn = Drawn(BISECT)
    assert {"101", "108", "0 s", "0.25 s", "done", "failed", "sent to the failure destination"} <= set(drawn.words)
    assert "not finished" not in drawn.words
    assert "t = 0.25 s, lane 0, attempt 2: error" in [told for *_, told in drawn.blocks]


def test_a_partial_response_shows_what_was_accepted_and_what_was_left():
    drawn = Drawn("""
    eventSourceMapping:
      {StartingPosition: TRIM_HORIZON, MaximumRetryAttempts: 0, FunctionResponseTypes: [ReportBatchItemFailures]}
    records: [{dynamodb: {SequenceNumber: "1"}}, {dynamodb: {SequenceNumber: "2"}}]
    handler: [{times: 1, then: {report: ["2"]}}]
    """)
    assert drawn.colours() == ["success", "partial", "success"]
    assert drawn.blocks[0][1] == drawn.blocks[1][1]


def test_what_was_filtered_out_lost_or_left_over_is_marked():
    filtered = 'FilterCriteria: {Filters: [{Pattern: \'{"eventName":["REMOVE"]}\'}]}'
    assert Drawn(
        f"eventSourceMapping: {{StartingPosition: LATEST, {filtered}}}\nrecords: [{{eventName: INSERT}}]"
    ).colours() == ["filtered"]
    once = "eventSourceMapping: {StartingPosition: LATEST, MaximumRetryAttempts: 0}"
    assert Drawn(f"{once}\nrecords: [{{}}]\nhandler: [{{then: raise}}]").colours() == ["error", "dropped"]
    waiting = "eventSourceMapping: {StartingPosition: LATEST}\nuntil: 1\nrecords: [{at: 5}]"
    assert Drawn(waiting).colours() == ["unfinished"]


def test_a_windows_final_call_has_a_row_of_its_own():
    drawn = Drawn((SCENARIOS / "tumbling-window-final-call-fails.yaml").read_text(encoding="utf-8"))
    assert "final call" in drawn.words
    assert drawn.colours() == ["success", "error", "error", "letter", "success", "success"]


def test_thousands_of_equal_retries_are_one_thin_column():
    drawn = Drawn((SCENARIOS / "poison-under-the-defaults.yaml").read_text(encoding="utf-8"))
    assert "1442 more" in drawn.words
    assert drawn.colours() == ["error"] * 6 + ["dropped", "success"]


def test_columns_beyond_the_limit_are_counted_and_not_drawn():
    records = ", ".join(f"{{at: {index}}}" for index in range(310))
    drawn = Drawn(f"eventSourceMapping: {{StartingPosition: LATEST}}\nrecords: [{records}]")
    assert len(drawn.blocks) == 300
    assert "10 later columns are not drawn" in drawn.words


def many(count: int) -> str:
    records = ", ".join(f"{{at: {index // 10}}}" for index in range(count))
    return f"eventSourceMapping: {{StartingPosition: TRIM_HORIZON, MaximumRetryAttempts: 0}}\nrecords: [{records}]"


def test_more_records_than_rows_are_drawn_as_sums_over_time_to_scale():
    count = MAXIMUM_RECORDS + 1
    drawn = Drawn(many(count) + "\nhandler: [{when: {between: [50, 60]}, then: raise}, {}]")
    assert any(word and "and time is to scale" in word for word in drawn.words)
    assert {"0 s", "1:40"} <= set(drawn.words)
    assert "110 given up, reached no destination" in drawn.words
    assert f"{count - 110} done" in drawn.words
    assert {"success", "error", "dropped"} == set(drawn.colours())
    assert len(drawn.blocks) < 400


def test_a_summary_counts_what_is_filtered_and_left_over():
    drawn = Drawn("until: 50\n" + many(MAXIMUM_RECORDS + 1))
    assert "491 not finished" in drawn.words
    filtered = many(MAXIMUM_RECORDS + 1).replace(
        "MaximumRetryAttempts: 0", """FilterCriteria: {Filters: [{Pattern: '{"eventName": ["REMOVE"]}'}]}"""
    )
    assert "1,001 filtered out" in Drawn(filtered).words


def test_with_more_records_than_rows_the_timeline_is_printed_all_the_same(tmp_path: Path):
    scenario, target = tmp_path / "many.yaml", tmp_path / "many.svg"
    scenario.write_text(many(MAXIMUM_RECORDS + 1), encoding="utf-8")
    ran = cli.invoke(app, ["simulate", str(scenario), "--picture", str(target)])
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert "invocations" in ran.stdout
    assert "drawn as sums" in target.read_text(encoding="utf-8")


def test_time_that_is_not_to_scale_says_so():
    assert "a column for everything that happened, in order: time is not to scale" in Drawn(BISECT).words


def test_each_record_shows_when_it_was_written():
    drawn = Drawn("""
    eventSourceMapping: {StartingPosition: TRIM_HORIZON}
    records: [{at: -3}, {at: 0}, {at: 75.5}]
    """)
    words = drawn.words
    assert "written" in words
    assert {"-3 s", "0 s", "1:15"} <= set(words)


def test_lanes_are_marked_where_there_are_several():
    lanes = Drawn((SCENARIOS / "parallelization.yaml").read_text(encoding="utf-8"))
    assert "lane" in lanes.words
    assert {"0", "1"} <= set(lanes.words)
    assert "lane" not in Drawn(BISECT).words


def test_a_queues_redrive_is_called_that():
    queue = (SCENARIOS / "queue-fifo.yaml").read_text(encoding="utf-8")
    drawn = Drawn(queue)
    assert "redriven" in drawn.colours()
    assert "moved to the dead-letter queue by the redrive policy" in drawn.words
    assert "sent to the failure destination" not in drawn.words
    assert any("moved to the dead-letter queue, received 2 times" in details for *_, details in drawn.blocks)


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.yaml")), ids=lambda path: path.stem)
def test_no_text_of_a_picture_overlaps_another_or_a_block(path: Path):
    texts, blocks = boxes(drawing(path.read_text(encoding="utf-8")))
    for index, one in enumerate(texts):
        assert not [other for other in texts[index + 1 :] if overlap(one, other)], one
        assert not [block for block in blocks if overlap(one, block)], one


def test_shards_that_have_equal_sequence_numbers_keep_their_own_rows():
    drawn = Drawn("""
    eventSourceMapping: {StartingPosition: TRIM_HORIZON}
    stream: {shards: [{id: a}, {id: b}]}
    records: [{shard: a, dynamodb: {SequenceNumber: "1"}}, {shard: b, dynamodb: {SequenceNumber: "1"}}]
    """)
    assert {"a", "b"} <= set(drawn.words)
    assert drawn.colours() == ["success", "success"]


def test_the_command_writes_it_beside_the_report(tmp_path: Path):
    scenario, target = tmp_path / "bisect.yaml", tmp_path / "bisect.svg"
    scenario.write_text(BISECT, encoding="utf-8")
    ran = cli.invoke(app, ["simulate", str(scenario), "--picture", str(target)])
    assert ran.exit_code == 0
    assert "8 invocations" in ran.stdout
    assert Drawn(target.read_text(encoding="utf-8")).words[0] == "bisect"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["one.yaml", "two.yaml", "--picture", "x.svg"], "--picture draws one scenario: give one file"),
        (["one.yaml", "--picture", "no/such/folder/x.svg"], "no/such/folder/x.svg: No such file or directory"),
    ],
)
def test_a_picture_that_cannot_be_drawn_is_one_line(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    for name in ("one.yaml", "two.yaml"):
        (tmp_path / name).write_text(BISECT, encoding="utf-8")
    ran = cli.invoke(app, ["simulate", *arguments])
    assert (ran.exit_code, ran.stderr) == (2, f"{message}\n")


def test_the_pictures_of_the_scenarios_are_those_of_today():
    assert [path.name for path in stale()] == [], "run: make docs"
