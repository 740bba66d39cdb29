"""Prefect flows and the `tidegate` command: wiring only."""
