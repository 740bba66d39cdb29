"""Messages as people wrote them, in lines, and as models read them, in one."""

from tasks.text import TextSettings, clean

MOST_LINES = 200
"""A message of more is kept on one line: each line is cleaned by itself, and that costs."""


def plain(text: str, policy: TextSettings) -> str:
    """A message as it may be kept: cleaned and masked, in its lines where these change nothing else.

    `one_line(plain(text)) == clean(text)`, always: where a mask reaches over the end of a line, as in a number that
    goes on in the next, or a tag does, the whole is on one line. Of several empty lines one is left.
    """
    whole = clean(text, policy)
    lines = text.strip().splitlines()
    if not 1 < len(lines) <= MOST_LINES:
        return whole
    cleaned = [clean(line, policy) for line in lines]
    kept = [line for place, line in enumerate(cleaned) if line or (place and cleaned[place - 1])]
    found = "\n".join(kept).strip("\n")
    return found if one_line(found) == whole else whole


def one_line(text: str) -> str:
    """A kept message as a model reads it."""
    return text.replace("\n\n", " ").replace("\n", " ")
