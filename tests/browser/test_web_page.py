"""A page of another origin, in a real browser, cannot reach the endpoint. Run by `make test-browser`.

The browser is headless Chromium. The page has the right access key, which no page can know.
"""

from __future__ import annotations

import http.server
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from urllib.parse import urlencode

import pytest

from local.endpoint import Endpoint

PAGE = Path(__file__).with_name("page.html")


@pytest.fixture(scope="module")
def aws() -> Iterator[Endpoint]:
    with Endpoint() as endpoint:
        yield endpoint


@pytest.fixture
def chromium(tmp_path) -> list[str]:
    """The command that starts the browser, with a profile of its own."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.fail("this test needs Chromium, e.g. by `apt-get install chromium`")
    return [found, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}"]


@pytest.fixture
def site() -> Iterator[tuple[str, SimpleQueue[dict[str, str]]]]:
    """The address of a server with the page, and the reports that the page sends it."""
    reports: SimpleQueue[dict[str, str]] = SimpleQueue()

    class Site(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self._answer("text/html", PAGE.read_bytes())

        def do_POST(self):
            reports.put(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self._answer("text/plain", b"")

        def _answer(self, kind: str, body: bytes) -> None:
            self.send_response(200)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", reports
    server.shutdown()
    server.server_close()


def test_a_page_of_another_origin_reads_and_changes_nothing(aws, chromium, site):
    address, reports = site
    before = aws.control.advance_clock(0)
    opened = f"{address}/?{urlencode({'url': aws.url, 'key': aws.access_key_id})}"
    browser = subprocess.Popen([*chromium, opened], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        seen = reports.get(timeout=120)
    finally:
        browser.kill()
        browser.wait()
    assert seen == {
        "read": "failed: TypeError",
        "simple post": "failed: TypeError",
        # The page learns that there was an answer, but neither its status nor its content.
        "post without cors": "opaque 0 ",
        "preflight": "failed: TypeError",
        "control": "failed: TypeError",
        "clock": "opaque 0 ",
        "websocket": "refused",
        "image": "refused",
    }
    assert aws.client("lambda").list_functions()["Functions"] == []
    assert aws.control.advance_clock(0) - before < 1000


def test_a_page_whose_name_resolves_to_the_endpoint_is_not_served(aws, chromium):
    rebound = f"http://rebound.example:{aws.url.rpartition(':')[2]}/_weir/mappings"
    command = [*chromium, "--host-resolver-rules=MAP rebound.example 127.0.0.1", "--dump-dom", rebound]
    page = subprocess.run(command, capture_output=True, text=True, timeout=120).stdout
    assert "does not serve the host" in page
    assert "rebound.example" in page
