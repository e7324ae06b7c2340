"""The program inside a function's process: the part of Lambda's Python runtime that a handler can see.

It is started by path with `-S -P` and imports nothing of Weir: a module that the function's archive, its layers and
Lambda's runtime lack must be missing here too. Its arguments are the directories of the layers and of the runtime's
packages. Standard input carries one JSON line per invocation; when it ends, the endpoint is gone, and the function ends
at once.
Standard output is the function's log; a line that
starts with NUL is an answer, so both stay in order.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import signal
import sys
import threading
import time
import traceback
from decimal import Decimal
from queue import SimpleQueue
from typing import Any, NoReturn

_endpoint = os.getppid()


class Context:
    """Lambda's context object (https://docs.aws.amazon.com/lambda/latest/dg/python-context.html)."""

    client_context = None
    identity = None

    def __init__(self, invocation: dict[str, Any]) -> None:
        self.aws_request_id: str = invocation["requestId"]
        self.invoked_function_arn: str = invocation["functionArn"]
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self._deadline: float = invocation["deadline"]

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until the invocation times out."""
        return max(0, int((self._deadline - time.time()) * 1000))


_STANDARD_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class LogFormatter(logging.Formatter):
    """Lines as Lambda's runtime writes them, in the function's log format."""

    request_id = ""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record as one line."""
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        if os.environ["AWS_LAMBDA_LOG_FORMAT"] != "JSON":
            return f"[{record.levelname}]\t{at}.{int(record.msecs):03d}Z\t{self.request_id}\t{super().format(record)}"
        line: dict[str, Any] = {
            "timestamp": f"{at}Z",
            "level": record.levelname,
            "message": record.getMessage(),
            "logger": record.name,
            "requestId": self.request_id,
        }
        line |= {name: value for name, value in vars(record).items() if name not in _STANDARD_ATTRIBUTES}
        if record.exc_info and record.exc_info[0] is not None:
            line["errorType"] = record.exc_info[0].__name__
            line["errorMessage"] = str(record.exc_info[1])
            line["stackTrace"] = traceback.format_tb(record.exc_info[2])
        return json.dumps(line, default=str)


def _answer(document: dict[str, Any]) -> None:
    sys.stderr.flush()
    sys.stdout.flush()
    # The newline ends a line that the handler may have left open.
    os.write(1, b"\n\0" + json.dumps(document, default=_number).encode() + b"\n")


def _number(value: object) -> Any:
    # Of the types that JSON lacks, Lambda's runtime writes only Decimal, by its digits (lambda_runtime_marshaller of
    # awslambdaric).
    if isinstance(value, Decimal):
        return json.loads(str(value))
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def _failed(error: BaseException, error_type: str | None = None, request_id: str = "") -> dict[str, Any]:
    failure = {
        "errorMessage": str(error),
        "errorType": error_type or type(error).__name__,
        "requestId": request_id,
        "stackTrace": traceback.format_tb(error.__traceback__)[1:],
    }
    sys.stdout.write(f"[ERROR] {failure['errorType']}: {failure['errorMessage']}\n{''.join(failure['stackTrace'])}")
    return {"failure": failure}


def _load(name: str) -> Any:
    module_name, _, function_name = name.rpartition(".")
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as missing:
        message = f"Unable to import module '{module_name}': {missing}"
        _refuse(ImportError(message), "Runtime.ImportModuleError")
    except Exception as error:  # noqa: BLE001 - any error of a module is the answer of its init
        _refuse(error, None)
    if not hasattr(module, function_name):
        message = f"Handler '{function_name}' missing on module '{module_name}'"
        _refuse(AttributeError(message), "Runtime.HandlerNotFound")
    return getattr(module, function_name)


def _refuse(error: BaseException, error_type: str | None) -> NoReturn:
    _answer(_failed(error, error_type))
    sys.exit(1)


def _receive(invocations: SimpleQueue[str]) -> None:
    for line in sys.stdin:
        invocations.put(line)
    # With every process that the endpoint's functions have started: the session is theirs alone.
    if os.getpgrp() == _endpoint:
        os.killpg(_endpoint, signal.SIGKILL)
    os._exit(1)


def main() -> None:
    """Load the handler, then serve invocations until standard input ends."""
    invocations: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=_receive, args=(invocations,), daemon=True).start()
    sys.path[:0] = [os.environ["LAMBDA_TASK_ROOT"], *sys.argv[1:]]
    formatter = LogFormatter()
    log = logging.StreamHandler(sys.stdout)
    log.setFormatter(formatter)
    logging.getLogger().addHandler(log)
    handler = _load(os.environ["_HANDLER"])
    _answer({"ready": True})
    while True:
        invocation = json.loads(invocations.get())
        formatter.request_id = invocation["requestId"]
        try:
            result = handler(invocation["event"], Context(invocation))
        except Exception as error:  # noqa: BLE001 - any error of a handler is its answer
            _answer(_failed(error, request_id=invocation["requestId"]))
            continue
        try:
            _answer({"result": result})
        except (TypeError, ValueError) as error:
            unmarshalled = TypeError(f"Unable to marshal response: {error}")
            _answer(_failed(unmarshalled, "Runtime.MarshalError", invocation["requestId"]))


if __name__ == "__main__":
    main()
