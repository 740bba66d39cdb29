"""The tables that pass between stages: their columns and types, stated once."""

import pyarrow as pa

VOTES = pa.list_(pa.struct([("who", pa.string()), ("label", pa.string())]))
"""What people said of a row, in the order in which they said it; `who` is a stable id, never a name."""

RAW = pa.schema(
    [
        ("id", pa.string()),
        ("text", pa.string()),
        ("source", pa.string()),
        ("created_at", pa.timestamp("us", tz="UTC")),
        ("label", pa.string()),  # null where the source brings none
        ("ratings", pa.list_(pa.float32())),  # single human ratings; null where the source brings none
        ("votes", VOTES),  # null where the source brings none
        ("group", pa.string()),  # whose row it is, such as a user's; null where the source brings none
        ("split_key", pa.string()),
    ]
)
"""ingest/rows.parquet and validate/rows.parquet."""

BATCH = RAW.append(pa.field("row_key", pa.string()))
"""A batch of the inbox. `id` is the source's own or null; `row_key` names the content: no row is taken twice."""

QUARANTINE = RAW.append(pa.field("reason", pa.string()))
"""validate/quarantine.parquet and validate/filtered.parquet."""

LABELED = pa.schema(
    [
        ("id", pa.string()),
        ("text", pa.string()),
        ("source", pa.string()),
        ("created_at", pa.timestamp("us", tz="UTC")),
        ("group", pa.string()),  # whose row it is; null where the source brings none
        ("split_key", pa.string()),
        ("label", pa.string()),
        ("decided_by", pa.string()),  # "ratings", "column", "votes" or "adjudicator"
        ("rating_mean", pa.float64()),  # null without ratings
        ("agreement", pa.float64()),  # 0 to 1; null below two ratings or votes
        ("confidence", pa.float64()),  # probability that the label is right; null where nothing tells it
        ("ambiguous", pa.bool_()),
        ("soft", pa.list_(pa.float32())),  # probabilities in the order of labels.json; null where there are none
    ]
)
"""label/labeled.parquet and the three parts that split writes."""


def completed(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The columns of `schema` in its order; those that a table of an earlier program lacks are null."""
    columns = {
        field.name: table[field.name] if field.name in table.column_names else pa.nulls(table.num_rows, field.type)
        for field in schema
    }
    return pa.table(columns, schema=schema)
