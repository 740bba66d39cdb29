"""The smallest whole line: made reviews in a csv, settings that take seconds."""

from conftest import sentences


def write_reviews(path, rows, seed=0):
    """A csv of made reviews: review_id, body, sentiment."""
    frame = sentences(rows, seed).set_axis(["review_id", "body", "sentiment"], axis=1)
    frame.to_csv(path, index=False)


def toy_params(folder, encoder):
    """Settings of one line `toy` over `folder`/reviews.csv."""
    columns = {"id": "review_id", "text": "body", "label": "sentiment"}
    return {
        "lines": {
            "toy": {
                "kind": "classify",
                "text": {},
                "sources": [{"name": "made", "kind": "file", "path": str(folder / "reviews.csv"), "columns": columns}],
                "ingest": {},
                "validate": {"min_rows": 10},
                "label": {"by": "column", "labels": ["negative", "positive"]},
                "split": {},
                "train": {
                    "base_model": encoder, "epochs": 3, "learning_rate": 3e-3, "max_length": 32, "precision": "fp32",
                },
                "evaluate": {},
                "quality_gate": {"checks": [{"metric": "accuracy", "min": 0.6}]},
                "export": {},
                "release_gate": {},
                "release": {},
            }
        }
    }  # fmt: skip
