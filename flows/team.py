"""`tidegate team`: who may do what, and new keys."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tasks.core.errors import SettingsError
from tasks.team import ROLES, TEAM, hash_key, load_team, new_key

HEAD = ("name", "kind", "e-mail", "roles", "proves it by", "rate", "lines")


def show() -> None:
    """Print the members of team.yaml with their roles; never their keys, nor the hashes of those."""
    team = load_team()
    if team is None:
        print_plain(
            f"There is no {TEAM}: anyone may promote and roll back. It holds `people:` with name, email, roles "
            f"({', '.join(ROLES)}), key or signing_key, and `applications:` with name and key. "
            "`tidegate team key NAME` makes a key."
        )
        return
    table = Table()
    for column in HEAD:
        table.add_column(column, overflow="fold")
    for member in team.members:
        proofs = [name for name, value in (("key", member.key), ("signed tag", member.signing_key)) if value]
        lines = "all" if member.lines is None else ", ".join(member.lines)
        cells = (member.name, member.kind, member.email, ", ".join(sorted(member.roles)), ", ".join(proofs),
                 member.rate or "", lines if member.kind == "application" else "")  # fmt: skip
        table.add_row(*map(Text, cells))
    Console().print(table)


def say_new_key(name: str) -> None:
    """Make a key for a member and print it with the line for team.yaml. Raises SettingsError on an empty name."""
    if not name.strip():
        raise SettingsError("The name is empty: say whose key it is.")
    key = new_key()
    print_plain(f"The key of {name}, shown this once. Give it to them by a safe way:\n\n  {key}\n")
    print_plain(f'For the entry of {name} in {TEAM}, in the place of an older one:\n\n  key: "{hash_key(key)}"')


def print_plain(text: str) -> None:
    """Print a text as it is, lines unbroken."""
    Console().print(text, soft_wrap=True, markup=False, highlight=False)
