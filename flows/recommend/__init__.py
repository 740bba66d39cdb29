"""The page of a line that recommends: a user's history, the list, and what speaks for each item of it."""
