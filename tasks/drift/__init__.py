"""Whether live traffic still is what a release was made for: checks, their verdicts, and what the drift costs."""
