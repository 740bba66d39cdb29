"""`tidegate demo`: the whole loop on real data, in a project of its own."""
