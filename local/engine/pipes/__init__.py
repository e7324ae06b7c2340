"""EventBridge Pipes: their admission, executions and requests, without I/O."""
