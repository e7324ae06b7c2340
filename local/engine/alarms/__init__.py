"""Metrics, alarm evaluation and alarm notifications, without I/O."""
