"""Readers of stream shards, and the limits on them."""
