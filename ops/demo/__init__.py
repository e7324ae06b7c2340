"""`weir demo`: the whole program on this machine, with everything going wrong that the program is there for."""
