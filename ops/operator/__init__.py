"""Commands for the person on call: the same on this machine and on AWS."""
