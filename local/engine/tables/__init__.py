"""Tables: the history of their items, for exports. No I/O."""
