"""The AWS APIs that the endpoint answers itself, with AWS's own validation."""
