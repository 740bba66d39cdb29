"""What task kinds share whose answer to a text is one of some labels."""
