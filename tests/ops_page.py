"""The ops page as a browser uses it: forms with their tokens."""

import re

COLOURS = ("green", "amber", "red", "grey", "bare")
"""Lines of the fixture `told`, named by their health; of `bare` there is nothing."""
HERE = "http://127.0.0.1"


def field(html, name):
    """The value of a hidden field of the first form that has it."""
    return re.search(f'name="{name}" value="([^"]*)"', html)[1]


def sign_in(client, who, line="red"):
    """Sign in by the form, as a browser does; the answer."""
    form = client.get(f"/login?line={line}").text
    return send(client, "/login", csrf=field(form, "csrf"), line=line, who=who)


def send(client, path, headers=None, **fields):
    """Send a form of our own page."""
    return client.post(path, data=fields, headers={"Origin": HERE, **(headers or {})})
