import json
import math

import pandas as pd
import pytest

from tasks.core.files import atomic, read_json, read_parquet, sha256, write_json, write_parquet


def test_a_failed_write_leaves_what_was_there(workdir):
    target = workdir / "a.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError), atomic(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert list(workdir.iterdir()) == [target]


def test_json_is_sorted_and_refuses_nan(workdir):
    write_json(workdir / "a.json", {"b": 1, "a": "é"})
    assert (workdir / "a.json").read_text(encoding="utf-8") == '{\n  "a": "é",\n  "b": 1\n}\n'
    with pytest.raises(ValueError, match="JSON"):
        write_json(workdir / "a.json", {"a": math.nan})
    assert read_json(workdir / "a.json") == {"a": "é", "b": 1}


def test_parquet_has_the_same_bytes_for_the_same_frame(workdir):
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", None]})
    for name in ("one", "two"):
        write_parquet(workdir / name, frame)
    assert (workdir / "one").read_bytes() == (workdir / "two").read_bytes()
    assert read_parquet(workdir / "one", ["b"]).columns.tolist() == ["b"]


def test_sha256_of_a_folder_sees_names_and_contents_but_no_caches(workdir):
    folder = workdir / "f"
    (folder / "__pycache__").mkdir(parents=True)
    (folder / "a").write_text("1")
    first = sha256(folder)
    (folder / "__pycache__" / "x.pyc").write_text("2")
    assert sha256(folder) == first
    (folder / "a").rename(folder / "b")
    assert sha256(folder) != first


def test_json_is_json(workdir):
    write_json(workdir / "a.json", [1, "two", None])
    assert json.loads((workdir / "a.json").read_text()) == [1, "two", None]
