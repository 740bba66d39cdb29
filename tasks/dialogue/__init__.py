"""Products that answer customers: their settings, and the dialogues that people and the service have."""
