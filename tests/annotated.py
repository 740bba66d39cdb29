"""A project with queues to label: lines `films` (two labels), `topics` (twelve) and `bare` (no queue), and a team."""

import copy

import ops_state
import yaml

from tasks.annotation.events import Item, suspect
from tasks.annotation.journal import Journal
from tasks.core.line import Line
from tasks.team import hash_key, new_key

HERE = "http://127.0.0.1"
SCRIPT = ops_state.SCRIPT
TOPICS = [f"topic {name}" for name in ("art", "books", "cars", "dance", "earth", "film", "games", "health", "ideas",
                                       "jazz", "kids", "law")]  # fmt: skip
TEXTS = (
    "A warm, funny film that earns its tears.",
    "The plot is thin and the jokes are older than the cast.",
    f"{SCRIPT} was all that the subtitles said.",
    "Two hours that feel like four.",
)
GUIDE = f"# What counts\n\n- **positive**: the writer would see it again.\n- *negative*: not.\n\n{SCRIPT}\n"
ROLES = {"Anna": ["annotator"], "Bea": ["annotator"], "Ada": ["adjudicator"], "Mara": ["approver"],
         "Max": ["annotator", "adjudicator"]}  # fmt: skip


def project(folder, team=True, more=(), **people):
    """params.yaml, queues, guidelines and a team.yaml in the folder, which is the working directory; its keys.

    `more` are lines like `films`, `people` fields of team.yaml's entries, by name.
    """
    keys = {name: new_key() for name in ROLES}
    entries = [
        {"name": name, "email": f"{name}@example.org".lower(), "roles": roles, "key": hash_key(keys[name])}
        | people.get(name, {})
        for name, roles in ROLES.items()
    ]
    ops_state.project(folder, ("films", "topics", "bare", *more), {"people": entries} if team else None)
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params["lines"] = {name: copy.deepcopy(block) for name, block in params["lines"].items()}
    params["lines"]["topics"]["label"]["labels"] = TOPICS
    params["annotate"] = {"port": 0}
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    for name in ("films", *more):
        (folder / "data" / name).mkdir(parents=True)
        (folder / "data" / name / "guidelines.md").write_text(GUIDE)
    return keys


def queue(line="films", texts=TEXTS, overlap=1, **more):
    """Items t0, t1, ... in a line's queue; its journal."""
    journal = Journal.of(Line(line))
    journal.add(Item(id=f"t{n}", text=text, rank=n, overlap=overlap, **more) for n, text in enumerate(texts))
    return journal


def doubtful(journal):
    """A row whose label is likely wrong, for adjudicators."""
    journal.add([suspect("row7", "Not bad at all.", "negative", "positive", 0.93, 0)])
