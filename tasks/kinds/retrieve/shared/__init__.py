"""What several stages of kind `retrieve` are made of beside what all kinds share: nothing so far."""
