"""Names of functions: Lambda accepts a name, a partial ARN or an ARN, each with or without a qualifier.

https://docs.aws.amazon.com/lambda/latest/api/API_GetFunction.html#lambda-GetFunction-request-FunctionName
"""

from __future__ import annotations

import re

_NAME = re.compile(
    r"(?:arn:aws[a-zA-Z-]*:lambda:)?(?:[a-z]{2}(?:-[a-z]+)+-\d:)?(?:(?P<account>\d{12}):)?(?:function:)?"
    r"(?P<name>[a-zA-Z0-9-_.]+)(?::(?P<qualifier>\$LATEST|[a-zA-Z0-9-_]+))?"
)


def name_of(function: str) -> str:
    """Return the name in any form of a function's name.

    >>> name_of("arn:aws:lambda:us-east-1:111122223333:function:welcome:live"), name_of("welcome")
    ('welcome', 'welcome')
    >>> name_of("111122223333:function:welcome"), name_of("function:welcome:live")
    ('welcome', 'welcome')
    """
    found = _NAME.fullmatch(function)
    return found["name"] if found else function


def qualifier_of(function: str) -> str | None:
    """Return the version or alias in any form of a function's name.

    >>> qualifier_of("111122223333:function:welcome:live"), qualifier_of("welcome")
    ('live', None)
    """
    found = _NAME.fullmatch(function)
    return found["qualifier"] if found else None


def account_of(function: str) -> str | None:
    """Return the account in any form of a function's name.

    >>> account_of("111122223333:function:welcome"), account_of("welcome")
    ('111122223333', None)
    """
    found = _NAME.fullmatch(function)
    return found["account"] if found else None
