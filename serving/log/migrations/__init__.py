"""The prediction log's schema, step by step."""
