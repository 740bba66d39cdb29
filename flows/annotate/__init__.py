"""The page that a team labels on: one text at a time, and the adjudicators' view of what is contested."""
