"""The page that ops staff live on: whether each model still works, why not, and what to do about it."""
