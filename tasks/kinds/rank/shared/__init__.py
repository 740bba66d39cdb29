"""What several stages of kind `rank` are made of."""
