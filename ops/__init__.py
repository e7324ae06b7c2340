"""The operator's tool, the command `weir`."""
