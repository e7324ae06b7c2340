"""Clients and heavy modules: made when they are needed, and early where that is free."""

import pytest

from handlers.cdc import client, clients, lazy_import
from handlers.cdc.image import Image


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
