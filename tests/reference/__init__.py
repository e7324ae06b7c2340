"""Handlers that tests deploy: the program's own may change, and a user's clone has others."""
