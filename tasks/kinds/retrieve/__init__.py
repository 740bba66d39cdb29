"""Task kind `retrieve`: the answer of a base whose texts lie nearest to a text, by embeddings."""
