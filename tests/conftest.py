"""What the tests share: a project in a folder of its own, a tiny encoder made on the spot, small tables."""

import os

if "PYTEST_XDIST_WORKER" in os.environ:  # before torch is loaded: workers that share the cores must not each take all
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import hashlib
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import postgres as debian
import pytest

from flows.server import server
from tasks.core.files import sha256
from tasks.core.quiet import silence

silence()
ROOT = Path(__file__).parent.parent

GOOD = ["great", "lovely", "moving", "funny", "brilliant", "warm"]
BAD = ["dull", "awful", "tedious", "bland", "clumsy", "cold"]
NOUNS = ["film", "story", "cast", "ending", "script", "music", "scene", "director"]


DEAR = ("lines", "postgres")
"""Fixtures that take a minute: all tests that read one run in the same worker, so that it is made once."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        if dear := next((name for name in DEAR if name in item.fixturenames), None):
            item.add_marker(pytest.mark.xdist_group(dear))


@pytest.fixture
def workdir(tmp_path, monkeypatch):
    """An empty folder as the working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory):
    """A BERT of 2 layers and 32 dimensions with a word-piece tokenizer: folder and sha256 pin."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, BertTokenizerFast

    words = sorted({*GOOD, *BAD, *NOUNS, "the", "a", "is", "was", "and", "but", "very", "not", "."})
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)]
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words, *letters, *(f"##{c}" for c in letters)]
    vocabulary = list(dict.fromkeys(vocabulary))
    index = {word: n for n, word in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.WordPiece(index, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", index["[CLS]"]), ("[SEP]", index["[SEP]"])]
    )
    folder = tmp_path_factory.mktemp("encoder")
    BertTokenizerFast(tokenizer_object=tokenizer, model_max_length=64).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=64,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(config).save_pretrained(folder)
    return {"kind": "folder", "path": str(folder), "sha256": sha256(folder)}


def sentences(rows: int, seed: int = 0) -> pd.DataFrame:
    """Sentences whose label a tiny model can learn: columns id, text, label."""
    rng = np.random.default_rng(seed)
    good = rng.random(rows) < 0.5
    texts = [
        f"the {rng.choice(NOUNS)} was {rng.choice(GOOD if g else BAD)} and the {rng.choice(NOUNS)} is "
        f"{rng.choice(GOOD if g else BAD)} {n}"
        for n, g in enumerate(good)
    ]
    return pd.DataFrame(
        {"id": [f"r{n}" for n in range(rows)], "text": texts, "label": np.where(good, "positive", "negative")}
    )


def labeled(rows: int, seed: int = 0, source: str = "made") -> pd.DataFrame:
    """A table as the label stage writes it (tasks.rows.LABELED)."""
    frame = sentences(rows, seed)
    frame["source"] = source
    frame["created_at"] = pd.Series([pd.NaT] * rows, dtype="datetime64[us, UTC]")
    frame["split_key"] = [hashlib.blake2b(text.encode(), digest_size=16).hexdigest() for text in frame["text"]]
    frame["decided_by"] = "column"
    frame["rating_mean"] = np.nan
    frame["agreement"] = np.nan
    frame["confidence"] = np.nan
    frame["ambiguous"] = False
    frame["soft"] = frame["group"] = None
    return frame


def copy_code(folder):
    """The project's code in a new folder: dvc.yaml, tasks, flows, serving."""
    folder.mkdir()
    for name in ("tasks", "flows", "serving", "versions"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dvc.yaml", ".gitignore", ".dvcignore"):
        shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A copy of the project's code as working directory, where `python -m` finds it."""
    folder = copy_code(tmp_path / "checkout")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    return folder


@pytest.fixture(scope="session")
def released(tiny_encoder, tmp_path_factory):
    """A checkout with a line taken from a hand-made training to its release. To be read, not changed."""
    import made

    with pytest.MonkeyPatch.context() as patch:
        folder = copy_code(tmp_path_factory.mktemp("released") / "checkout")
        patch.chdir(folder)
        made.released(tiny_encoder)
    return folder


@pytest.fixture
def bundle(released, tmp_path):
    """A copy of that release's bundle, to be broken."""
    return shutil.copytree(released / "data/sentiment/release/bundle", tmp_path / "bundle")


@pytest.fixture(scope="session")
def prefect_url(tmp_path_factory):
    """A Prefect server for the whole session: its start takes seconds."""
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("prefect"))
    os.environ["PREFECT_HOME"] = str(Path.cwd())
    os.environ["PYTHONPATH"] = str(ROOT)
    try:
        with server() as url:
            os.chdir(before)
            yield url
    finally:
        os.chdir(before)


@pytest.fixture(scope="session")
def lines(tmp_path_factory, tiny_encoder, prefect_url):
    """The line `toy` taken to a release by both ways in. To be copied, not changed."""
    from toy import both_ways

    return both_ways(tmp_path_factory.mktemp("lines"), tiny_encoder, prefect_url)


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL server for the session."""
    if debian.programs() is None:
        pytest.skip("no PostgreSQL here: apt-get install postgresql")
    server = debian.Server()
    yield server
    server.stop()
    shutil.rmtree(server.folder)
