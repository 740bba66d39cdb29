"""The stages of a line, one module each, and the helpers they share."""
