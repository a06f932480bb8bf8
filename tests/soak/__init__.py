"""An hour of work with a fault every half minute."""
