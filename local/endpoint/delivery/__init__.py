"""Delivery threads: event source mappings and pipes that run on the endpoint."""
