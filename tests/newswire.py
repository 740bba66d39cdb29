"""A product over the line `sentiment` with a tiny release, and a feed that is a csv."""

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml

NOW = datetime(2026, 5, 31, 12, tzinfo=UTC)
GOOD, BAD = "great lovely warm", "dull awful cold"


class Wire:
    """A feed of headlines, `wire.csv`."""

    def __init__(self):
        self.rows = 0
        Path("wire.csv").write_text("n,headline,at\n")

    def say(self, time, who, bad=False, text=None):
        """Publish a headline; returns its id."""
        self.rows += 1
        words = text or f"the story of {who} is {BAD if bad else GOOD} {self.rows}"
        with Path("wire.csv").open("a", newline="") as stream:
            csv.writer(stream).writerow([self.rows, words, time.isoformat() if time else ""])
        return f"wire-{self.rows}"

    def usual(self, who, days=80, end=NOW):
        """Six headlines a day, one of them bad, until the day before yesterday."""
        for back in range(days, 1, -1):
            for n in range(6):
                self.say(end - timedelta(days=back) + timedelta(hours=n - 6), who, bad=(n == back % 6))


def write_params(**changes):
    """params.yaml with the product `finance`."""
    params = yaml.safe_load(Path("params.yaml").read_text())
    product = {
        "title": "Made news",
        "sentiment": "sentiment",
        "variant": "fp32",
        "feeds": [{"name": "wire", "kind": "file", "path": "wire.csv",
                   "columns": {"id": "n", "text": "headline", "created_at": "at"}}],
        "entities": {"Acme": {"aliases": ["宏达"], "tickers": ["ACM"]}, "Zenith": {}},
        "index": {"values": {"negative": -1, "positive": 1}},
    }  # fmt: skip
    params["products"] = {"finance": {**product, **changes}}
    Path("params.yaml").write_text(yaml.safe_dump(params))
