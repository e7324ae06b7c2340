"""The demo's callers of the API: trusted services that sign their requests."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.httpsession import URLLib3Session

#: Callers at a time: each may need a process of its own for each function of the API.
CALLERS = 4
#: Seconds that an answer may take, on a machine with other work to do.
PATIENCE_SECONDS = 180


class PlanApi:
    """`POST /users/{userId}/plan` and `POST /accounts/{accountId}` with signed requests.

    Args:
        url: The API's address.
        credentials: Whose requests they are.
        region: Region that the signature is for.
    """

    def __init__(self, url: str, credentials: Credentials, region: str) -> None:
        self._url = url.rstrip("/")
        self._signer = SigV4Auth(credentials, "execute-api", region)
        self._session = URLLib3Session(max_pool_connections=CALLERS, timeout=PATIENCE_SECONDS)

    def set_plan(self, user: str, plan: str) -> int:
        """Set a user's plan; returns the status code of the answer."""
        return self._post(f"users/{user}/plan", {"plan": plan})

    def open_account(self, account: str, user: str) -> int:
        """Open a user's account; returns the status code of the answer."""
        return self._post(f"accounts/{account}", {"userId": user})

    def _post(self, path: str, document: Mapping[str, str]) -> int:
        request = AWSRequest(
            "POST",
            f"{self._url}/{path}",
            data=json.dumps(document).encode(),
            headers={"content-type": "application/json"},
        )
        self._signer.add_auth(request)
        return self._session.send(request.prepare()).status_code

    def close(self) -> None:
        """Close the connections."""
        self._session.close()


def send_all(requests: Sequence[Sequence[Callable[[], int]]], tell: Callable[[int], None]) -> Counter[int]:
    """Send all requests, a few users at a time, each user's one after the other.

    Args:
        requests: Each user's requests, in order; a request returns the status code of its answer.
        tell: Called with the number of requests answered so far.

    Returns:
        How often each status code came.
    """
    answers: Counter[int] = Counter()
    lock = threading.Lock()

    def send(of_user: Sequence[Callable[[], int]]) -> None:
        for request in of_user:
            status = request()
            with lock:
                answers[status] += 1
                tell(answers.total())

    callers = ThreadPoolExecutor(CALLERS, thread_name_prefix="caller")
    try:
        for done in [callers.submit(send, of_user) for of_user in requests]:
            done.result()
    finally:
        # Stopped half-way, the requests that wait are not sent any more.
        callers.shutdown(cancel_futures=True)
    return answers
