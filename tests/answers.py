"""Answers as a service gives them to its recorder."""

from datetime import UTC, datetime

import numpy as np

from serving.log import store
from serving.log.database import writing
from serving.log.record import Answered, Feedback

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def answered(request_id="r1", texts=("the film was great",), line="sentiment", time=None, role="champion", classes=2):
    """The answers to one request."""
    rng = np.random.default_rng(len(texts))
    probabilities = rng.dirichlet(np.ones(classes), len(texts)).astype(np.float32)
    embeddings = rng.standard_normal((len(texts), 32), dtype=np.float32)
    labels = [f"label{n}" for n in probabilities.argmax(axis=1)]
    return Answered(
        request_id, time or datetime.now(UTC), line, "0123456789ab", "int8", role, "shop", list(texts), labels,
        probabilities, embeddings, 2.5,
    )  # fmt: skip


def labelled(request_id="r1", position=0, label="label0", line="sentiment", time=None):
    """A true label."""
    return Feedback(request_id, position, line, label, time or datetime.now(UTC), "shop")


class Nowhere:
    """A spool of which nothing is missing."""

    name, settled, torn = "made", 0, False


def put(engine, encoder, *given):
    """Answers and labels as the drain stores them."""
    records = [encoder.answers(each) if hasattr(each, "texts") else encoder.feedback(each) for each in given]
    with writing(engine).begin() as connection:
        batch = store.Batch.of([store.Record(n, payload) for n, payload in enumerate(records, start=1)])
        store.insert(connection, Nowhere(), batch)
