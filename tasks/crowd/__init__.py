"""Labels that several people gave: what follows from their votes, how far they agree, how well each of them answers."""
