"""A package of its own, because libraries install a `tests`, too, and Python would find theirs first."""
