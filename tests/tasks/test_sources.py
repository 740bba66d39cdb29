"""Sources read: formats, encodings, mappings, joins, and what is said when something is wrong."""

import gzip
import json
import tarfile

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks import packages
from tasks.core.errors import SettingsError, SourceError
from tasks.core.files import sha256
from tasks.sources import parse_sources
from tasks.sources.tables import ROWS


def source(**block):
    block = {"kind": "file", "name": "made", "columns": {"text": "text"}} | block
    return parse_sources({"sources": [block]}, "x")[0]


def rows(made):
    """All rows of a source, as a list of dicts without what is null."""
    found = []
    for piece in made.look():
        with made.open(piece) as opened:
            for table in made.rows(opened, piece.uri):
                assert table.column_names == list(ROWS)
                found += [{k: v for k, v in row.items() if v is not None} for row in table.to_pylist()]
    return found


@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl", "parquet", "csv.gz", "jsonl.gz"])
def test_every_format_gives_the_same_rows(workdir, form):
    frame = pd.DataFrame(
        {"n": [1, 2], "text": ["good, and NA", "café"], "label": ["a", "null"], "r": ["[1, -2.5]", "[]"]}
    )
    path = workdir / f"rows.{form}"
    opener = gzip.open if form.endswith("gz") else open
    if form == "parquet":
        frame.assign(r=frame["r"].map(json.loads)).to_parquet(path)
    else:
        with opener(path, "wt", encoding="utf-8") as stream:
            if form.startswith("jsonl"):
                frame.assign(r=frame["r"].map(json.loads)).to_json(
                    stream, orient="records", lines=True, force_ascii=False
                )
            else:
                frame.to_csv(stream, index=False, sep="\t" if form == "tsv" else ",", lineterminator="\r\n")
    columns = {"id": "n", "text": "text", "label": "label", "ratings": "r"}
    assert rows(source(path=f"rows.{form}", columns=columns)) == [
        {"id": "1", "text": "good, and NA", "label": "a", "ratings": [1.0, -2.5]},
        {"id": "2", "text": "café", "label": "null", "ratings": []},
    ]


def test_columns_by_place_without_header_and_quotes_as_they_stand(workdir):
    (workdir / "a.txt").write_bytes(b'1\t0.5\t"Oh" he said\r\n2\t1\tno "end\r\n3\t0\tlast')
    made = source(path="a.txt", format="tsv", header=False, columns={"id": 0, "text": 2})
    assert rows(made) == [
        {"id": "1", "text": '"Oh" he said'},
        {"id": "2", "text": 'no "end'},
        {"id": "3", "text": "last"},
    ]


def test_a_text_with_line_ends_in_quotes(workdir):
    (workdir / "a.csv").write_text('text,n\n"two\nlines, ""quoted""",1\n')
    assert rows(source(path="a.csv")) == [{"text": 'two\nlines, "quoted"'}]


def test_times_become_utc(workdir):
    (workdir / "a.csv").write_text("text,at\na,2026-05-01T12:00:00+02:00\nb,2026-05-01\n")
    found = rows(source(path="a.csv", columns={"text": "text", "created_at": "at"}))
    assert [row["created_at"].isoformat() for row in found] == [
        "2026-05-01T10:00:00+00:00",
        "2026-05-01T00:00:00+00:00",
    ]


def test_encodings(workdir):
    (workdir / "a.csv").write_bytes("text\nfirst\ncafé\n".encode("latin-1"))
    assert rows(source(path="a.csv", encoding="latin-1"))[1] == {"text": "café"}
    with pytest.raises(SourceError, match=r"a\.csv: line 3 is not utf-8 \(byte 0xe9, place 3\).*latin-1"):
        rows(source(path="a.csv"))
    (workdir / "b.csv").write_bytes("text\ncafé\n".encode("utf-8-sig"))
    assert rows(source(path="b.csv")) == [{"text": "café"}]
    (workdir / "c.csv").write_bytes("text\ncafé\n".encode("utf-16"))
    assert rows(source(path="c.csv", encoding="utf-16")) == [{"text": "café"}]
    (workdir / "d.jsonl").write_bytes('{"text": "café"}\n'.encode("latin-1"))
    assert rows(source(path="d.jsonl", encoding="latin-1")) == [{"text": "café"}]
    with pytest.raises(SourceError, match=r"d\.jsonl: line 1 is not utf-8"):
        rows(source(path="d.jsonl"))


def test_half_a_surrogate_pair_in_json_can_be_stored(workdir):
    (workdir / "a.jsonl").write_text('{"text": "bad \\ud83d end"}\n{"text": 5}\n{"text": null}\n')
    assert rows(source(path="a.jsonl")) == [{"text": "bad ? end"}, {"text": "5"}, {}]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", r"a\.csv is empty \(0 bytes\)"),
        ("a.jsonl", b"\n\n", "holds no row"),
        ("a.csv", b"text\n", "holds no row"),
        ("a.csv", b"review,n\nsecret words,1\n", r"has no column 'text'. It has 2: 0 'review', 1 'n'"),
        ("a.csv", b"text,n\na,1\nsecret words,2,3\n", "row 3 has 3 columns where 2 are expected"),
        ("a.jsonl", b'{"text": "a"}\nsecret words\n', "line 2 is no JSON"),
        ("a.jsonl", b'["secret words"]\n', "line 1 is no JSON object but list"),
        ("a.jsonl", b'{"review": "secret words"}\n', "has no column 'text'"),
        ("a.parquet", b"PAR1 secret words", "cannot be read as parquet"),
        ("a.csv.gz", gzip.compress(b"text\nsecret words\n" * 999, mtime=0)[:-20], "cannot be read as csv"),
        ("a.dat", b"text\n", "does not tell its format"),
    ],
)
def test_what_is_wrong_is_said_without_quoting_text(workdir, name, content, message):
    (workdir / name).write_bytes(content)
    with pytest.raises(SourceError, match=message) as caught:
        rows(source(path=name))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("cell", ["true", '["a"]', "[NaN]", "[1", '{"a": 1}', "[1],[2]"])
def test_ratings_that_are_none(workdir, cell):
    (workdir / "a.tsv").write_text(f"text\tr\nfine\t[1]\nwrong\t{cell}\n")
    with pytest.raises(SourceError, match=r"`ratings` \(row 1 of its chunk\) is no JSON list of numbers"):
        rows(source(path="a.tsv", columns={"text": "text", "ratings": "r"}))


def test_a_nested_column_is_no_text(workdir):
    pq.write_table(pa.table({"text": [{"a": 1}]}), workdir / "a.parquet")
    with pytest.raises(SourceError, match="cannot be taken as text"):
        rows(source(path="a.parquet"))


def test_a_glob_takes_files_in_order_and_needs_one(workdir):
    for name in ("b", "a", "c"):
        (workdir / f"{name}.csv").write_text(f"text\n{name}\n")
    assert [row["text"] for row in rows(source(path="*.csv"))] == ["a", "b", "c"]
    with pytest.raises(SourceError, match=r"there is no file none/\*\.csv"):
        rows(source(path="none/*.csv"))


def test_any_address_of_fsspec(workdir):
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.pipe("/tidegate/a.csv", b"text\none\n")
    memory.pipe("/tidegate/b.csv", b"text\ntwo\n")
    assert [row["text"] for row in rows(source(path="memory://tidegate/*.csv"))] == ["one", "two"]
    with pytest.raises(SourceError, match="is not there"):
        rows(source(path="memory://tidegate/c.csv"))
    with pytest.raises(SourceError, match="cannot be read"):
        rows(source(path="nonsense://a.csv"))


def test_an_address_out_of_reach_is_tried_again_and_its_secrets_kept(workdir, monkeypatch):
    monkeypatch.setattr(packages, "FIRST_WAIT", 0.0)
    from tasks.sources import file

    calls, real = [], file._system
    monkeypatch.setattr(file, "_system", lambda address: calls.append(address) or real(address))
    with pytest.raises(SourceError, match=r"http://127\.0\.0\.1:9/a\.csv cannot be reached .* network") as caught:
        rows(source(path="http://me:secret@127.0.0.1:9/a.csv?token=secret"))
    assert len(calls) == packages.TRIES
    assert "secret" not in str(caught.value)


def packed(workdir, files):
    """A source of kind `package` whose archive lies in the downloads already."""
    path = workdir / "made-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            (workdir / name).write_text(content)
            archive.add(workdir / name, f"made-1.0/{name}")
    pin = sha256(path)
    place = packages.DOWNLOADS / pin / path.name
    place.parent.mkdir(parents=True)
    path.rename(place)
    return {"kind": "package", "package": "made==1.0", "sha256": pin, "member": "a.tsv"}


def test_two_members_joined_on_the_id(workdir):
    block = packed(workdir, {"a.tsv": "n\ttext\n1\tone\n2\ttwo\n3\tthree", "b.tsv": "key\tr\n3\t[3]\n1\t[1, 1]\n"})
    block["columns"] = {"id": "n", "text": "text"}
    join = {"member": "b.tsv", "id": "key", "columns": {"ratings": "r"}}
    assert rows(source(**block, join=join)) == [
        {"id": "1", "text": "one", "ratings": [1.0, 1.0]},
        {"id": "2", "text": "two"},
        {"id": "3", "text": "three", "ratings": [3.0]},
    ]
    with pytest.raises(SourceError, match="no id of one is an id of the other"):
        rows(source(**block, join=join | {"id": "r"}))
    with pytest.raises(SourceError, match=r"holds no 'none\.tsv'"):
        rows(source(**block | {"member": "none.tsv"}))


def test_a_join_needs_ids_once(workdir):
    block = packed(workdir, {"a.tsv": "n\ttext\n1\tone\n", "b.tsv": "key\tr\n1\t[3]\n1\t[1]\n"})
    join = {"member": "b.tsv", "id": "key", "columns": {"ratings": "r"}}
    with pytest.raises(SourceError, match="more than once"):
        rows(source(**block, columns={"id": "n", "text": "text"}, join=join))
    with pytest.raises(SourceError, match="a join needs the id"):
        rows(source(**block, join=join))


def test_a_rating_alone_and_seconds_since_1970(workdir):
    (workdir / "a.csv").write_text("text,rating,at\nfine,4,881250949\nbad,1.5,\n")
    block = {"path": "a.csv", "columns": {"text": "text", "ratings": "rating", "created_at": "at"}}
    found = rows(source(**block))
    assert [row["ratings"] for row in found] == [[4.0], [1.5]]
    assert [str(row.get("created_at")) for row in found] == ["1997-12-04 15:55:49+00:00", "None"]


def test_events_get_the_text_of_their_item_out_of_several_columns(workdir):
    events = "user\titem\trating\n7\t2\t5\n8\t2\t3\n7\t1\t4\n"
    items = "key\ttitle\tyear\n1\tHeat\t1995\n2\tAlien\t\n"
    block = packed(workdir, {"a.tsv": events, "b.tsv": items})
    block["columns"] = {"label": "item", "group": "user"}
    join = {"member": "b.tsv", "id": "key", "key": "label", "columns": {"text": ["title", "year"]}}
    found = rows(source(**block, join=join))
    assert [(row["group"], row["label"], row["text"].strip()) for row in found] == [
        ("7", "2", "Alien"), ("8", "2", "Alien"), ("7", "1", "Heat 1995"),
    ]  # fmt: skip
    plain = source(**block | {"columns": {"id": "item"}}, join=join | {"key": "id"})
    named = source(**block | {"columns": {"id": "item"}}, join={n: v for n, v in join.items() if n != "key"})
    assert plain.reading() == named.reading()
    assert (
        plain.reading()
        != source(**block | {"columns": {"id": "item"}}, join=join | {"key": "id", "separator": "|"}).reading()
    )


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"pth": "a"}, r"lines\.x\.sources\.0\.file\.pth: unknown key \(did you mean 'path'\?\)"),
        ({"path": "a", "columns": {"label": "l"}}, "must say which one holds the text"),
        ({"path": "a", "columns": {"txt": "l"}}, "'text'"),
        ({"path": "a", "encoding": "utf-9"}, "no encoding of this name"),
        ({"path": "a", "kind": "sqll"}, "'file', 'package'"),
        ({"path": "a", "name": "My Source"}, "name"),
    ],
)
def test_wrong_settings(block, message):
    with pytest.raises(SettingsError, match=message):
        source(**block)


def test_two_sources_of_one_name():
    block = {"kind": "file", "name": "made", "path": "a", "columns": {"text": "t"}}
    with pytest.raises(SettingsError, match="a name of its own"):
        parse_sources({"sources": [block, block]}, "x")


def test_no_sources_are_no_error():
    assert parse_sources({"sources": None}, "x") == []


def test_votes_are_lists_of_who_said_what(workdir):
    votes = [{"who": "a1", "label": "good"}, {"who": "b2", "label": "bad"}]
    pd.DataFrame({"text": ["one", "two"], "v": [json.dumps(votes), ""]}).to_csv("a.csv", index=False)
    lines = [json.dumps({"text": "one", "v": votes}), json.dumps({"text": "two"})]
    (workdir / "a.jsonl").write_text("\n".join(lines))
    pd.DataFrame({"text": ["one", "two"], "v": [votes, None]}).to_parquet("a.parquet")
    for path in ("a.csv", "a.jsonl", "a.parquet"):
        found = rows(source(path=path, columns={"text": "text", "votes": "v"}))
        assert [row.get("votes") for row in found] == [votes, None], path


@pytest.mark.parametrize("cell", ['{"a": 1}', "[1]", '[{"who": "a"}]', "good", '[{"who": 1, "label": "x"}]'])
def test_votes_of_another_form_are_refused(workdir, cell):
    pd.DataFrame({"text": ["one"], "v": [cell]}).to_csv("a.csv", index=False)
    with pytest.raises(SourceError, match=r"row 0 of its chunk.*who said which label"):
        rows(source(path="a.csv", columns={"text": "text", "votes": "v"}))


PAIRS = """\
categories: [made]
conversations:
- - Is it 1963?
  - yes
  - Or no.
- - |
    Two
    lines
  - 12
- a text alone
- []
"""


def test_pairs_of_a_yaml_document_are_texts_as_they_are_written(workdir):
    (workdir / "a.yml").write_text(PAIRS)
    made = source(path="a.yml", rows_of="conversations", columns={"text": 0, "label": 1})
    assert rows(made) == [{"text": "Is it 1963?", "label": "yes"}, {"text": "Two\nlines", "label": "12"}, {}, {}]
    (workdir / "b.yaml").write_text("- {q: where, a: here}\n- {q: when}\n")
    assert rows(source(path="b.yaml", columns={"text": "q", "label": "a"})) == [
        {"text": "where", "label": "here"},
        {"text": "when"},
    ]


@pytest.mark.parametrize(
    ("content", "settings", "message"),
    [
        (PAIRS, {}, "is no list of rows. Set `rows_of:`.*its keys: categories, conversations"),
        (PAIRS, {"rows_of": "pairs"}, "has no list of rows under 'pairs'"),
        (PAIRS, {"rows_of": "conversations", "columns": {"text": 7}}, "no row has an item at place 7"),
        (PAIRS, {"rows_of": "conversations", "columns": {"text": "q"}}, "no row has a key 'q'"),
        ("- [[secret words]]\n", {"columns": {"text": 0}}, "row 1 has a list or an object where"),
        ("- [a\n- b: {", {}, "cannot be read as yaml: line 2"),
        ("- &a [*a]\n", {"columns": {"text": 0}}, "recursive"),
        ("[]\n", {}, "holds no row"),
        (b"- [caf\xe9]\n", {}, "is not utf-8"),
        (b"[" * 100_000, {}, "cannot be read as yaml"),
    ],
)
def test_a_yaml_document_that_is_none_says_so(workdir, content, settings, message):
    (workdir / "a.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(SourceError, match=message) as error:
        rows(source(path="a.yaml", **settings))
    assert "secret" not in str(error.value)


def test_several_members_of_a_package(workdir):
    files = {"b.tsv": "text\ntwo\n", "a.tsv": "text\none\n", "c.csv": "text\nother\n"}
    block = packed(workdir, files) | {"member": "made-1.0/*.tsv"}
    assert rows(source(**block)) == [{"text": "one"}, {"text": "two"}]
    with pytest.raises(SourceError, match=r"made-1\.0/b\.tsv has no column 'b'|a\.tsv has no column"):
        rows(source(**block, columns={"text": "b"}))
    with pytest.raises(SourceError, match=r"\*\.txt: no file there has such a name"):
        rows(source(**block | {"member": "made-1.0/*.txt"}))
    with pytest.raises(SettingsError, match="a join is of one file"):
        source(**block, join={"member": "c.csv", "id": "n", "columns": {"label": "l"}})


def test_what_was_read_before_rows_of_came_is_not_read_again():
    assert source(path="a.csv").reading() == "cd8884c3ab55cd1c"
    assert source(path="a.csv", rows_of="pairs").reading() != source(path="a.csv").reading()
