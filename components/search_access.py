"""`search_access`: the permission to write one index of an OpenSearch domain."""

from __future__ import annotations

import pulumi

from components.access import Access, allow


def search_access(domain_arn: pulumi.Input[str] | None, index: str) -> Access:
    """Permission to create an index and to write documents in bulk, and neither to read nor to delete.

    Args:
        domain_arn: ARN of the Amazon OpenSearch Service domain; `None` for an engine elsewhere, which needs none.
        index: The index, e.g. `users-v1`.
    """
    if domain_arn is None:
        return Access([])
    return Access(
        [
            allow(["es:ESHttpPut"], pulumi.Output.concat(domain_arn, f"/{index}")),
            allow(["es:ESHttpPost", "es:ESHttpPut"], pulumi.Output.concat(domain_arn, f"/{index}/_bulk")),
        ]
    )
