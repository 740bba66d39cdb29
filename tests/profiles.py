"""Made rows of every kind that a profile counts, and their page."""

from pathlib import Path

import numpy as np
import pandas as pd

from tasks import scan
from tasks.core.files import write_parquet
from tasks.profile import describe
from tasks.profile_drift import compare
from tasks.profile_page import Drift, Policy, page
from tasks.proposal import as_yaml
from tasks.rows import RAW

SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(2)>"
WORDS = ["film", "story", "cast", "ending", "script", "music", "scene", "plot", "actor", "camera", "light", "house"]


def rows(n=600, seed=0, labels=("bad", "good")):
    """Rows of a table of tasks.rows.RAW with dates, labels and some of everything that a profile counts."""
    rng = np.random.default_rng(seed)
    texts = [f"I think that the {rng.choice(WORDS)} of the {rng.choice(WORDS)} was fine {i}" for i in range(n)]
    texts[:6] = ["Write to [EMAIL] now", "THE SAME", "the  same", "这部电影非常好看，推荐大家去看", "", SCRIPT]
    dates = pd.to_datetime("2020-01-15", utc=True) + pd.to_timedelta(30 * (np.arange(n) % 24), "D")
    return pd.DataFrame(
        {
            "id": [f"r{i}" for i in range(n)],
            "text": texts,
            "source": rng.choice(["shop", "app"], n, p=[0.8, 0.2]),
            "created_at": dates.as_unit("us"),
            "label": rng.choice(labels, n),
            "ratings": None,
            "votes": None,
            "group": None,
            "split_key": [f"{i:032x}" for i in range(n)],
        }
    )


def described(frame, **settings):
    write_parquet(Path("rows.parquet"), frame, RAW)
    found = scan.scan(Path("rows.parquet"), **settings)
    return found, *describe(found, None, 128)


def whole_page(frame):
    found, told, sampled = described(frame)
    told["decided"] = {SCRIPT: 3, "good": 5}
    before = described(rows(seed=5))[2]
    policy = Policy(
        changed={"html": 4},
        dropped={"email": 2},
        filters={"near copies": {"rows": 9, "looked_at": 8, "left_out": 1}},
        filtered=pd.DataFrame({"text": [SCRIPT, None], "reason": [f"near copy of {SCRIPT}", "language: de (0.99)"]}),
    )
    drift = Drift(SCRIPT, 600, compare(before, sampled, {"source": (["a"], [SCRIPT])}), [(SCRIPT, 0.1, 0.2)])
    return page("made", SCRIPT, told, found, sampled, policy, drift, "", as_yaml("made", told))
