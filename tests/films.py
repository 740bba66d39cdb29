"""A release of kind rank made by hand: films of three sorts, and a graph that sums what a user liked."""

import json

import numpy as np

from tasks.bundle import seal
from tasks.core.files import write_json
from tasks.inference import Model, open_session, read_signature
from tasks.kinds.rank.serve import answering, cleaning
from tasks.kinds.rank.shared import catalogue
from tasks.kinds.rank.shared.catalogue import Catalogue

GRAPH = """
<ir_version: 8, opset_import: ["": 18]>
tower (float[rows, length, 3] vectors, int64[rows, length] classes)
=> (float[rows, 3] user, float[rows, length, 3] parts)
<float[4] rates = {0, -1, 0.1, 1}, int64[1] last = {-1}, int64[1] places = {1}>
{
  rated = Gather(rates, classes)
  weights = Unsqueeze(rated, last)
  parts = Mul(vectors, weights)
  user = ReduceSum <keepdims = 0> (parts, places)
}
"""
FILMS = {
    "50": ("Star <i>Wars</i> & co", "space", 0.9),
    "172": ("The Empire", "space", 0.4),
    "181": ("The Return", "space", 0.3),
    "12": ("A Night of Fear", "fear", 0.5),
    "13": ("<img src=x onerror=alert(1)> Fear Again", "fear", 0.2),
    "70": ("Four Weddings", "love", 0.6),
    "71": ("", "love", 0.1),
    '"><script>alert(2)</script>': ("Odd & Ends", "love", 0.05),
}
"""By id: title, sort, and how popular it is. One has no text."""
SORTS = ["space", "fear", "love"]
LIKE, DISLIKE = 4.0, 3.0
USERS = [
    ("validation", [["50", 5], ["12", 1], ["70", 3]], ["172", "181"]),
    ("test", [["13", 4], ["12", None], ["gone", 5]], ['"><script>alert(2)</script>']),
]
"""Side, history, and what was liked later."""
TURNED = 1_000_000_000.0
"""Seconds since 1970 before which no film was more popular than another."""


def items() -> Catalogue:
    """The films with vectors of length 1, nearly the same for those of a sort."""
    vectors = np.eye(3, dtype=np.float32)[[SORTS.index(sort) for _, sort, _ in FILMS.values()]]
    vectors = vectors + np.linspace(0, 0.1, vectors.size, dtype=np.float32).reshape(vectors.shape)
    now = np.array([share for *_, share in FILMS.values()], dtype=np.float32)
    titles = [title for title, *_ in FILMS.values()]
    return Catalogue(list(FILMS), titles, vectors, vectors, np.stack([0 * now, now]), np.array([TURNED]))


def model(folder, films: Catalogue | None = None) -> Model:
    """Write a model of kind rank into the folder, and load it."""
    import onnx

    films = films or items()
    onnx.save(onnx.parser.parse_model(GRAPH), folder / "fp32.onnx")
    catalogue.write(folder / "fp32.items.npz", films)
    write_json(
        folder / "signature.json",
        {
            "schema_version": 1, "kind": "rank", "labels": films.ids, "max_length": 5, "pad_id": 0,
            "inputs": ["vectors", "classes"], "outputs": ["user", "parts"], "opset": 18,
            "variants": {"fp32": {"file": "fp32.onnx", "size": (folder / "fp32.onnx").stat().st_size}},
            "calibration": {"fp32": {"method": "temperature", "temperature": 0.5}},
            "tastes": {"like": LIKE, "dislike": DISLIKE},
        },
    )  # fmt: skip
    signature = read_signature(folder / "signature.json")
    session = open_session(folder / "fp32.onnx", threads=1)
    return Model(signature, "fp32", session, None, cleaning(None), answering(folder, signature, "fp32"))


def tokenizer(folder):
    """Write a tokenizer that knows nothing: a release has one, and no history is read by it."""
    from tokenizers import Tokenizer, models

    Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]")).save(str(folder / "tokenizer.json"))


def bundle(folder, **manifest):
    """Write a release of the line `films` into the folder, with two users; the folder."""
    import pandas as pd

    folder.mkdir(parents=True)
    model(folder)
    tokenizer(folder)
    texts = [json.dumps([TURNED + place, *told]) for place, (_, told, _) in enumerate(USERS)]
    frame = pd.DataFrame({"text": texts, "side": [side for side, *_ in USERS], "targets": [own for *_, own in USERS]})
    (folder / "reference").mkdir()
    frame.to_parquet(folder / "reference/rows.parquet")
    label = {"scale": [1, 5]}
    content = {"line": "films", "kind": "rank", "labels": list(FILMS), "admissible": ["fp32"], "inputs": {},
               "params": {"lines.films.label": label}, "verdicts": {}}  # fmt: skip
    seal(folder, {**content, **manifest})
    return folder
