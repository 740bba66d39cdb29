"""Made people with made tastes: what each of them thought of made films, and where that is written down."""

import numpy as np
import pandas as pd

TASTES = {"war": ["guns", "army", "tank"], "love": ["kiss", "heart", "letter"], "space": ["moon", "rocket", "alien"]}
ITEMS = 10  # of each taste


def films():
    """A row per film: film, about; those of a taste are told of in its words."""
    rng = np.random.default_rng(0)
    rows = [(f"{taste}{n}", f"a {taste} story with {' and '.join(rng.choice(words, 2, replace=False))} {n}")
            for taste, words in TASTES.items() for n in range(ITEMS)]  # fmt: skip
    return pd.DataFrame(rows, columns=["film", "about"])


def seen(people=60, each=16, seed=0):
    """What people saw: who, film, stars, seen; most of it of the taste that each has, and liked where it is."""
    rng = np.random.default_rng(seed)
    names = films()["film"].to_numpy()
    rows = []
    for person in range(people):
        taste = list(TASTES)[person % len(TASTES)]
        own = np.array([name.startswith(taste) for name in names])
        chosen = rng.choice(names, each, replace=False, p=np.where(own, 6, 1) / np.where(own, 6, 1).sum())
        for place, film in enumerate(chosen):
            stars = 5 if film.startswith(taste) else int(rng.choice([1, 2, 3]))
            rows.append((f"person {person}", film, stars, 1_000_000_000 + 86_400 * place + person))
    return pd.DataFrame(rows, columns=["who", "film", "stars", "seen"])


def taste_params(encoder):
    """Settings of one line `toy` over questions.csv, in which each event has the film's text."""
    columns = {"text": "about", "label": "film", "group": "who", "ratings": "stars", "created_at": "seen"}
    return {
        "lines": {
            "toy": {
                "kind": "rank",
                "text": {"group": "keep"},
                "sources": [{"name": "made", "kind": "file", "path": "questions.csv", "columns": columns}],
                "ingest": {},
                "validate": {"min_rows": 10},
                "label": {"by": "column", "labels": None, "scale": [1, 5], "neutral": 3},
                "split": {"by": "time_in_group", "complete_sides": ["train"]},
                "train": {
                    "base_model": encoder, "epochs": 4, "learning_rate": 3e-3, "max_length": 32, "batch_size": 64,
                    "rank": {"width": 16, "weight": 20, "text_weight": 10},
                },
                "evaluate": {},
                "quality_gate": {"checks": [{"metric": "ndcg_at_10", "min": 0.3}]},
                "export": {"variants": ["fp32"]},
                "release_gate": {},
                "release": {},
                "compare": {"metrics": ["ndcg_at_10", "hit_at_10"], "decide_by": "ndcg_at_10"},
            }
        }
    }  # fmt: skip


def events(**given):
    """The table of `seen` with each film's text: what questions.csv holds."""
    return seen(**given).merge(films(), on="film")
