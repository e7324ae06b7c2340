"""Consumers' conditions as event patterns that AWS evaluates before a function is invoked."""

from components.push_down.compiler import NeverTrue, push_down
from components.push_down.mapping_filters import filters_of, pipe_filters_of, queue_filters_of

__all__ = ["NeverTrue", "filters_of", "pipe_filters_of", "push_down", "queue_filters_of"]
