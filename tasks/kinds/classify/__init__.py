"""Task kind `classify`: one label per text."""
