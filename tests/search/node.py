"""A real OpenSearch node on 127.0.0.1, from jars that Maven fetches and whose hashes are in `jars.sha256`."""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from pathlib import Path

HERE = Path(__file__).parent
#: Kept between runs: `make clean` removes it.
JARS = HERE.parents[1] / "build" / "opensearch"

START_SECONDS = 180
FETCH_SECONDS = 900
OLDEST_JAVA = 17


class NoNode(RuntimeError):
    """The node cannot be run on this machine. The message says what is missing."""


@contextlib.contextmanager
def search_node() -> Generator[str]:
    """Run a node in a directory of its own, and give its URL.

    Raises:
        NoNode: Java 17 or Maven is missing, the jars cannot be fetched, or the node does not start.
    """
    java = _java()
    _fetch()
    with tempfile.TemporaryDirectory() as directory, (Path(directory) / "log").open("w+b") as log:
        port = _free_port()
        command = [java, "-Xms256m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        command += ["-cp", f"{JARS}/*", str(HERE / "SearchNode.java"), directory, str(port)]
        node = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=directory)
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_until_green(url, node, Path(log.name))
            yield url
        finally:
            node.terminate()
            try:
                node.wait(timeout=30)
            except subprocess.TimeoutExpired:
                node.kill()
                node.wait()
            if node.stdin:
                node.stdin.close()


def _java() -> str:
    java = shutil.which("java")
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr if java else ""
    version = re.search(r'version "(\d+)', said)
    if java is None or version is None or int(version[1]) < OLDEST_JAVA:
        raise NoNode(f"these tests run a real OpenSearch on Java {OLDEST_JAVA} or newer, and there is none on the path")
    return java


def _fetch() -> None:
    wanted = dict(reversed(line.split()) for line in (HERE / "jars.sha256").read_text().splitlines())
    if {file.name for file in JARS.glob("*.jar")} != set(wanted):
        maven = shutil.which("mvn")
        if maven is None:
            raise NoNode("these tests fetch OpenSearch with Maven, and there is no mvn on the path")
        command = [maven, "-B", "-q", "-f", str(HERE / "pom.xml"), "dependency:copy-dependencies"]
        done = subprocess.run(
            [*command, f"-DoutputDirectory={JARS}"], capture_output=True, text=True, timeout=FETCH_SECONDS, check=False
        )
        if done.returncode:
            raise NoNode(f"Maven cannot fetch OpenSearch: {(done.stdout + done.stderr).strip()[-2000:]}")
    for name, digest in wanted.items():
        if hashlib.sha256((JARS / name).read_bytes()).hexdigest() != digest:
            raise NoNode(f"{name} is not the file whose hash is in tests/search/jars.sha256: remove {JARS}")


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def _wait_until_green(url: str, node: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and node.poll() is None:
        green = f"{url}/_cluster/health?wait_for_status=green&timeout=5s"
        with contextlib.suppress(urllib.error.URLError, OSError), urllib.request.urlopen(green, timeout=10):
            return
        time.sleep(0.2)
    raise NoNode(f"OpenSearch did not start within {START_SECONDS} s: {log.read_text(errors='replace')[-2000:]}")
