"""An AWS on 127.0.0.1, in a process of its own."""

from local.endpoint.process import Endpoint, EndpointError

__all__ = ["Endpoint", "EndpointError"]
