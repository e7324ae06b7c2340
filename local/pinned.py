"""What the endpoint takes from inside ministack: everything that a new version of it may change.

tests/local/test_pinned.py fails when one of these means something else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

from ministack.services import apigateway, lambda_svc, ses

_lambda: Any = lambda_svc
_ses: Any = ses

#: Function record, configuration, event, request id and start time to ministack's form of an outcome.
Execute = Callable[[Mapping[str, Any], Mapping[str, Any], Any, str, float], dict[str, Any]]


def run_functions_by(execute: Execute) -> None:
    """Replace ministack's function runner, and its metrics, which count direct calls only."""
    _lambda._execute_function_dispatch = execute
    _lambda._emit_lambda_metrics = _no_metrics


def write_log(function: Mapping[str, Any], request_id: str, text: str, *, failed: bool, milliseconds: int) -> None:
    """Put an invocation's output into the function's log group, between Lambda's START, END and REPORT lines."""
    _lambda._emit_lambda_logs(function, request_id, text, failed, milliseconds)


def sent_mails() -> list[dict[str, Any]]:
    """The mails that SES took, oldest first."""
    return [mail for kept in _ses._sent_emails.to_dict().values() for mail in kept]


def route_authorization(api_id: str, method: str, path: str) -> str | None:
    """The authorization type of the route that a request to an HTTP API's `$default` stage reaches, if any."""
    return apigateway.route_authorization_type(api_id, "$default", method, unquote(path))


def _no_metrics(*_: Any, **__: Any) -> None:
    """Stand in for ministack's metrics of functions."""
