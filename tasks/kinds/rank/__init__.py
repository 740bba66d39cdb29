"""Task kind `rank`: the items that a user may want next, by the history of what that user did."""
