"""EventBridge Pipes that read a stream: what one accepts, sends and does with answers, without I/O."""
