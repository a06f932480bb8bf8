"""Known bugs that proofs must notice."""
