"""Live traffic for tests: a release's answers to texts, in the prediction log as the service would have put them."""

from datetime import UTC, datetime, timedelta

from answers import put

from serving.log.database import migrate, open_database
from serving.log.record import Answered, Feedback
from serving.log.rows import Encoder
from serving.log.settings import load_log
from tasks.bundle import release_id
from tasks.drift.result import Check
from tasks.inference import Model

LINE = "sentiment"
EVIL = "</script><img src=x onerror=alert(1)>"


class Traffic:
    """The log of the working directory, and a model that answers; `since` is what sent before."""

    def __init__(self, bundle, variant="fp32", since=None):
        settings = load_log()
        self.engine = open_database(settings.database())
        migrate(self.engine)
        self.encoder, self.variant = Encoder(settings), variant
        self.release, self.model = release_id(bundle), Model.load(bundle, variant, threads=1)
        self.sent = since.sent if since else 0

    def send(self, texts, time=None, release=None, labels=None, every=1):
        """Requests of ten texts, `every` seconds apart up to `time` (default: now); their ids. `labels` come along."""
        time = time or datetime.now(UTC)
        answers = self.model.predict(texts, cleaned=True)
        records, ids = [], []
        for start in range(0, len(texts), 10):
            part = slice(start, start + 10)
            self.sent += 1
            ids.append(f"request-{self.sent}")
            when = time - timedelta(seconds=every * ((len(texts) - start) // 10))
            records.append(
                Answered(
                    request_id=ids[-1], time=when, line=LINE, release=release or self.release,
                    variant=self.variant, role="champion", source="test", texts=texts[part],
                    labels=answers.labels[part], probabilities=answers.probabilities[part],
                    embeddings=answers.embeddings[part], latency_ms=5.0 + start % 7,
                )
            )  # fmt: skip
        put(self.engine, self.encoder, *records)
        if labels is not None:
            self.label(ids, labels)
        return ids

    def label(self, ids, labels, time=None):
        """The true labels of requests of ten texts."""
        time = time or datetime.now(UTC)
        known = [(n, label) for n, label in enumerate(labels) if label is not None]
        given = [Feedback(ids[n // 10], n % 10, LINE, label, time, "test") for n, label in known]
        put(self.engine, self.encoder, *given)


def check(severity="severe", **more):
    content = {
        "name": "text", "statistic": "AUC", "value": 0.9, "limit": 0.6, "p": 0.001, "p_adjusted": 0.01,
        "drifted": severity != "none", "severity": severity, "reason": "Other words.", "rows_reference": 240,
        "rows_current": 200, "sampled": False, "detectable": 0.6,
        "evidence": {
            "terms": {"more": [{"term": EVIL, "reference": 0.0, "current": 0.5}], "less": []},
            "examples": [EVIL, "<!--<script>"],
            "edges": [0, 5, 10], "reference": [0.5, 0.25, 0.25, 0, 0], "current": [0, 0.25, 0.75, 0, 0],
        },
    }  # fmt: skip
    return Check(**content | more)
