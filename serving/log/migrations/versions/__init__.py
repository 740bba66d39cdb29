"""One module per step, run in order at the start of a service; see serving.log.database."""
