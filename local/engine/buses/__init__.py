"""EventBridge without I/O: retries of targets."""
