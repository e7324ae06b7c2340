"""`weir diagram`: a picture of who reads a table's changes, and where a failing one goes."""
