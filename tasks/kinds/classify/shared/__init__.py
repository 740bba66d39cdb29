"""What several stages of kind `classify` are made of: the model, and how its head may start."""
