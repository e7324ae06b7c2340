"""Authorization: what a function calls with its own keys is judged by its role's policies and those of resources."""
