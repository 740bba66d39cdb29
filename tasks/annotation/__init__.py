"""Labels by a team: the queue of items, what people said of them as events, and what follows from both."""
