"""Weak supervision: labels by rules of thumb that people write, and by a champion on texts that nobody labelled."""
