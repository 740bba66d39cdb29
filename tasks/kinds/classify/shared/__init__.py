"""What several stages of kind `classify` are made of beside what all kinds share: nothing so far."""
