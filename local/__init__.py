"""The same program on this machine: an AWS endpoint on 127.0.0.1, and the deployment to it."""
