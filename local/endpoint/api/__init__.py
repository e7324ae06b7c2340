"""The AWS API: requests, operations, errors, signatures."""
