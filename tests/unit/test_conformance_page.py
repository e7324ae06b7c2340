from __future__ import annotations

from tools import conformance


def test_the_conformance_page_is_what_the_tests_say():
    written = conformance.PAGE.read_text(encoding="utf-8")
    assert written == conformance.page(), "run `make docs` and commit docs/conformance.md"


def test_every_row_has_an_id_of_its_own():
    ids = [row.id for row in conformance.rows()]
    assert len(ids) == len(set(ids)) > 200


def test_every_marked_test_is_named_after_a_row_that_exists():
    known = {row.id for row in conformance.rows()}
    rows_of: dict[tuple[str, str], set[str]] = {}
    for test in conformance.shown():
        assert test.row in known, f"{test.file}: {test.test} shows {test.row}, which is no row"
        assert test.confidence in ("recorded", "documented", "deduced")
        rows_of.setdefault((test.file, test.test), set()).add(test.row.lower().replace("-", "_"))
    for (file, name), rows in rows_of.items():
        assert any(name.startswith(f"test_{row}_") for row in rows), f"{file}: {name} is not named after its row"


def test_every_row_that_the_simulation_shows_is_shown_on_the_endpoint_too_or_says_why_not():
    shown = conformance.shown()
    simulated = {each.row for each in shown if each.in_simulation}
    served = {each.row for each in shown if not each.in_simulation}
    assert simulated - served == set(conformance.ONLY_SIMULATED)
