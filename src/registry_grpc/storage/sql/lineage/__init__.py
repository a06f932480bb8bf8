"""The graph of what came from what in SQL: who a node is, whose edges there are, and walking along them."""
