"""Clients and heavy modules: made when they are needed, and early where that is free."""

import http.server
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import pytest

from handlers.cdc import Change, Consumer, client, clients, consumer, lazy_import
from handlers.cdc.image import Image
from handlers.cdc.testing import Invocation, record, stream_event


@pytest.fixture(autouse=True)
def region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    clients._made.cache_clear()


def test_outside_lambda_a_client_is_made_at_its_first_use(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[str, int]] = []
    monkeypatch.setattr(clients, "boto3_client", lambda *arguments: made.append(arguments) or "a client")
    dynamodb = client("dynamodb")
    assert made == []
    assert dynamodb.upper() == "A CLIENT"
    assert made == [("dynamodb", 3, 5.0)]


def test_in_lambda_a_client_is_made_in_the_init_phase_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "welcome-email")
    dynamodb = client("dynamodb", attempts=5)
    assert dynamodb.meta.region_name == "eu-central-1"
    assert client("dynamodb", attempts=5) is dynamodb
    assert client("dynamodb", attempts=1) is not dynamodb


def test_a_client_answers_within_an_invocation_and_tries_as_often_as_it_is_told() -> None:
    config = client("sesv2", attempts=1).meta.config
    assert (config.connect_timeout, config.read_timeout) == (2, 5)
    assert config.retries == {"mode": "standard", "total_max_attempts": 1}


def test_a_heavy_module_is_imported_at_its_first_use() -> None:
    module = lazy_import("no_such_module")
    with pytest.raises(ModuleNotFoundError):
        _ = module.anything
    assert lazy_import("json").loads("1") == 1


def test_an_image_is_a_mapping_that_does_not_show_its_content() -> None:
    image = Image({"mail": {"S": "ada@example.com"}})
    assert (len(image), list(image), "mail" in image, "plan" in image) == (1, ["mail"], True, False)
    assert repr(image) == "<Image with mail>"
    with pytest.raises(KeyError):
        _ = image["plan"]


class Frozen(http.server.BaseHTTPRequestHandler):
    """A service whose connections are dead after one call, and look open: as after an environment was frozen."""

    protocol_version = "HTTP/1.1"
    calls: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        if self.close_connection_now:
            self.close_connection = True  # without an answer
            return
        self.calls.append(self.headers["x-amz-target"])
        self.close_connection_now = True
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    close_connection_now = False

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Frozen)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    Frozen.calls.clear()
    yield Frozen.calls
    server.shutdown()
    server.server_close()


def sending(attempts: int) -> Consumer:
    sqs = client("sqs", attempts=attempts)

    @consumer
    def handler(change: Change) -> None:
        sqs.send_message(QueueUrl="https://queue", MessageBody="hello")

    return handler


def test_a_connection_that_died_between_two_invocations_does_not_spend_the_only_attempt(service: list[str]) -> None:
    handler = sending(attempts=1)
    for _ in range(3):
        assert handler(stream_event(record(new={"id": 1})), Invocation()) == {"batchItemFailures": []}
    assert len(service) == 3


def test_inside_an_invocation_a_dead_connection_is_an_error_of_a_client_with_one_attempt(service: list[str]) -> None:
    event = stream_event(record(new={"id": 1}), record(new={"id": 2}))
    answer = sending(attempts=1)(event, Invocation())
    assert len(answer["batchItemFailures"]) == 1  # what shows that the connections above are dead indeed
    assert sending(attempts=3)(event, Invocation()) == {"batchItemFailures": []}


def test_a_client_waits_as_long_as_it_is_told() -> None:
    config = client("bedrock-runtime", timeout=60).meta.config
    assert (config.connect_timeout, config.read_timeout) == (2, 60)
    config = client("dynamodb", timeout=0.5).meta.config
    assert (config.connect_timeout, config.read_timeout) == (0.5, 0.5)


@pytest.mark.parametrize("arguments", [{"attempts": 0}, {"attempts": 11}, {"timeout": 0}, {"timeout": 901}])
def test_a_client_that_could_not_answer_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"attempts=|timeout="):
        client("dynamodb", **arguments)


def test_clients_are_made_by_one_session_and_once_for_each_set_of_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "welcome-email")
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: client("s3"), range(8)))
    assert len(made) == 1
    assert client("s3", timeout=1) not in made


@pytest.mark.parametrize(("attempts", "made"), [("3", {"sqs", "s3"}), (None, set[str]())])
def test_a_queues_consumer_makes_its_clients_in_the_init_phase(
    monkeypatch: pytest.MonkeyPatch, attempts: str | None, made: set[str]
) -> None:
    services: set[str] = set()
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "welcome-email")
    if attempts is not None:
        monkeypatch.setenv("QUEUE_ATTEMPTS", attempts)
    monkeypatch.setattr("handlers.cdc.bounded_client.boto3_client", lambda service, *_: services.add(service))
    consumer(lambda change: None)
    assert services == made
