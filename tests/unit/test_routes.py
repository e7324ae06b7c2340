"""The tables of services, put together."""

from __future__ import annotations

import pytest

from local.endpoint.routes import Routes, gathered


def nothing(_):
    return 200, {}


def test_every_service_adds_to_the_checks_and_wake_ups_of_an_operation():
    checks = [Routes(checked={"lambda:Invoke": [check]}, tells={"lambda:Invoke": [check]}) for check in (id, hash)]
    routes = gathered(checks)
    assert routes.checked == routes.tells == {"lambda:Invoke": [id, hash]}


def test_two_services_cannot_answer_one_operation():
    with pytest.raises(ValueError, match="two services claim lambda:Invoke"):
        gathered([Routes(answered={"lambda:Invoke": nothing})] * 2)
