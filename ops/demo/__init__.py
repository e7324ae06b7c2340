"""`weir demo`: the whole program on this machine, with every fault that it is built for."""
