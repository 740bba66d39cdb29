"""Opinion monitoring: what is said of whom, how that changes, and which changes people should know of."""
