"""Windows of made-up rows: texts of a vocabulary, answers and embeddings that go with it."""

import numpy as np

from serving.log.descriptors import describe
from tasks.drift.window import Window

BOTH = ["the", "is", "and", "very", "of", "a"]
FILM = [*BOTH, "film", "story", "cast", "scene", "plot", "actor", "music", "dull", "lovely", "odd", "warm"]
SHOP = [*BOTH, "battery", "screen", "price", "box", "phone", "cable", "broken", "great", "cheap", "slow"]
WIDTH = 8


def window(rows: int, seed: int = 0, words: list[str] = FILM, right: float = 0.85, labels: int | None = None) -> Window:
    """Rows of texts of these words, answered rightly so often. The first `labels` have a true label; None is all."""
    rng = np.random.default_rng([seed, len(words)])
    texts = [" ".join(rng.choice(words, rng.integers(3, 12))) for _ in range(rows)]
    centre = np.random.default_rng(sum(map(ord, "".join(words)))).standard_normal(WIDTH)
    answer = rng.integers(0, 2, rows)
    confidence = rng.uniform(0.5, 1, rows)
    true = np.where(rng.random(rows) < right, answer, 1 - answer)
    names = np.array(["negative", "positive"])
    known = rows if labels is None else labels
    return Window(
        text=texts,
        label=names[answer].tolist(),
        probabilities=np.where(answer[:, None] == [0, 1], confidence[:, None], 1 - confidence[:, None]).astype("f4"),
        projection=(centre + rng.standard_normal((rows, WIDTH))).astype("f4"),
        true_label=[name if row < known else None for row, name in enumerate(names[true].tolist())],
        **described(texts),
    )


def described(texts: list[str]) -> dict:
    """The columns that need a look at the texts."""
    found = describe(texts)
    return {
        "characters": np.array(found.characters, np.int32),
        "words": np.array(found.words, np.int32),
        "non_letters": np.array(found.non_letters, np.float32),
        "script": found.script,
        "script_share": np.array(found.script_share, np.float32),
    }
