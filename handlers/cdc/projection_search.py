"""The version guard in OpenSearch: bulk writes by external version, with tombstones as documents.

The driver is opensearch-py, which the consumer brings (`requirements=`).
"""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from handlers.cdc.change import Change
from handlers.cdc.clients import lazy_import
from handlers.cdc.discard import Discard
from handlers.cdc.image_json import to_json
from handlers.cdc.invocation import remaining_seconds
from handlers.cdc.projection import search_version
from handlers.cdc.time_budget import OutOfTime

opensearchpy = lazy_import("opensearchpy")

#: Seconds that a call may take, if as much time is left.
CALL_SECONDS: Final = 10.0
#: Seconds kept back, so that the batch can still be answered.
ANSWER_SECONDS: Final = 0.3

#: A change, the id of its document, and the document; `None` if the item was deleted.
Write = tuple[Change[Any], str, Mapping[str, Any] | None]


class NotIndexed(RuntimeError):
    """OpenSearch could not take a document now. The record is delivered again."""


class SearchProjection:
    """An index, with an alias for readers that hides the tombstones.

    A deleted item leaves a document `{"deleted": true, "deletedAt": …}` with the version of its delete. OpenSearch
    itself would forget the version of a deleted document after `index.gc_deletes` (60 s), and a late change would bring
    the document back.

    Args:
        variable: The environment variable that holds the engine's URL. A domain of Amazon OpenSearch Service is called
            with the function's own keys (SigV4).
        index: The index that is written, e.g. `users-v1`.
        alias: The alias that readers search, e.g. `users`.
        properties: The mapping of the documents' fields; other fields are kept and not indexed.
        clock: Returns seconds since 1970.
    """

    def __init__(
        self,
        variable: str,
        *,
        index: str,
        alias: str,
        properties: Mapping[str, Mapping[str, Any]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.variable = variable
        self.index = index
        self._definition = {
            "mappings": {
                "dynamic": False,
                "properties": {**properties, "deleted": {"type": "boolean"}, "deletedAt": {"type": "date"}},
            },
            "aliases": {alias: {"filter": {"bool": {"must_not": {"term": {"deleted": True}}}}}},
        }
        self._clock = clock
        self._client: Any = None

    def write(self, writes: Iterable[Write]) -> list[tuple[Change[Any], Exception]]:
        """Write documents and tombstones in one call, each unless a newer change was applied.

        Returns:
            The changes that are not done, with their errors: a `Discard` for a document that the mapping refuses, a
            `NotIndexed` for one that may be taken later.

        Raises:
            GuardNotAvailable: A change has no version.
            OutOfTime: Too little time is left for a call.
            opensearchpy.OpenSearchException: The call failed as a whole.
        """
        writes = list(writes)
        if not writes:
            return []
        lines: list[str] = []
        for change, id_, document in writes:
            tombstone = {"deleted": True, "deletedAt": int(self._clock() * 1000)}
            lines += [
                to_json({"index": {"_id": id_, **search_version(change)}}),
                to_json(tombstone if document is None else document),
            ]
        answer = self._made().bulk(index=self.index, body="\n".join([*lines, ""]), params=_time_out())
        errors = (_error(result["index"]) for result in answer["items"])
        return [(write[0], error) for write, error in zip(writes, errors, strict=True) if error is not None]

    def _made(self) -> Any:
        if self._client is None:
            client = _client(self._url())
            try:
                client.indices.create(index=self.index, body=self._definition, params=_time_out())
            except opensearchpy.RequestError as refused:
                if refused.error != "resource_already_exists_exception":
                    raise
            self._client = client
        return self._client

    def _url(self) -> str:
        url = os.environ.get(self.variable)
        if not url:
            raise RuntimeError(f"{self.variable} is not set, so there is no search engine to write to")
        return url


def _client(url: str) -> Any:
    host = urlsplit(url).hostname or ""
    settings: dict[str, Any] = {"max_retries": 0, "retry_on_timeout": False}
    if host.endswith(".es.amazonaws.com"):
        keys = importlib.import_module("boto3").session.Session().get_credentials()
        settings["http_auth"] = opensearchpy.Urllib3AWSV4SignerAuth(keys, host.split(".")[-4], "es")
    return opensearchpy.OpenSearch(hosts=[url], **settings)


def _time_out() -> Mapping[str, float]:
    left = remaining_seconds()
    seconds = CALL_SECONDS if left is None else min(CALL_SECONDS, left - ANSWER_SECONDS)
    if seconds <= 0:
        raise OutOfTime("too little time is left for a call of the search engine")
    return {"request_timeout": seconds}


def _error(result: Mapping[str, Any]) -> Exception | None:
    status: int = result["status"]
    # 409: a newer change was applied, so this one is done.
    if status < 300 or status == 409:
        return None
    # The reason may quote the document, and does not belong into logs.
    reason = f"OpenSearch answers {status} {result['error']['type']}"
    return Discard(reason) if status == 400 else NotIndexed(reason)
