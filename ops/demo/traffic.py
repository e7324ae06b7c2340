"""The demo's callers of the API: trusted services that sign their requests."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.httpsession import URLLib3Session

#: Callers at a time.
CALLERS = 8


class PlanApi:
    """`POST /users/{userId}/plan` with signed requests.

    Args:
        url: The API's address.
        credentials: Whose requests they are.
        region: Region that the signature is for.
    """

    def __init__(self, url: str, credentials: Credentials, region: str) -> None:
        self._url = url.rstrip("/")
        self._signer = SigV4Auth(credentials, "execute-api", region)
        self._session = URLLib3Session(max_pool_connections=CALLERS, timeout=30)

    def set_plan(self, user: str, plan: str) -> int:
        """Set a user's plan; returns the status code of the answer."""
        request = AWSRequest(
            "POST",
            f"{self._url}/users/{user}/plan",
            data=json.dumps({"plan": plan}).encode(),
            headers={"content-type": "application/json"},
        )
        self._signer.add_auth(request)
        return self._session.send(request.prepare()).status_code

    def close(self) -> None:
        """Close the connections."""
        self._session.close()


def send_all(
    requests: Sequence[tuple[str, Sequence[str]]], set_plan: Callable[[str, str], int], tell: Callable[[int], None]
) -> Counter[int]:
    """Send all requests, a few users at a time, each user's one after the other.

    Args:
        requests: User and the plans it is set to, in order.
        set_plan: Sends one request and returns its status code.
        tell: Called with the number of requests answered so far.

    Returns:
        How often each status code came.
    """
    answers: Counter[int] = Counter()
    lock = threading.Lock()

    def send(user: str, plans: Sequence[str]) -> None:
        for plan in plans:
            status = set_plan(user, plan)
            with lock:
                answers[status] += 1
                tell(answers.total())

    callers = ThreadPoolExecutor(CALLERS, thread_name_prefix="caller")
    try:
        for done in [callers.submit(send, user, plans) for user, plans in requests]:
            done.result()
    finally:
        # Stopped half-way, the requests that wait are not sent any more.
        callers.shutdown(cancel_futures=True)
    return answers
