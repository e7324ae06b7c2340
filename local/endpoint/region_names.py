"""Names of AWS's regions, from botocore's list of endpoints."""

from __future__ import annotations

from functools import cache

import botocore.loaders


@cache
def region_name(region: str) -> str:
    """Return the name of a region as CloudWatch writes it; an unknown region keeps its code.

    >>> region_name("us-east-1"), region_name("eu-west-1"), region_name("xx-nowhere-1")
    ('US East (N. Virginia)', 'EU (Ireland)', 'xx-nowhere-1')
    """
    partitions = botocore.loaders.create_loader().load_data("endpoints")["partitions"]
    names = {name: known["description"] for each in partitions for name, known in each["regions"].items()}
    return names.get(region, region).replace("Europe (", "EU (")
