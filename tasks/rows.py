"""The tables that pass between stages: their columns and types, stated once."""

import pyarrow as pa

RAW = pa.schema(
    [
        ("id", pa.string()),
        ("text", pa.string()),
        ("source", pa.string()),
        ("created_at", pa.timestamp("us", tz="UTC")),
        ("label", pa.string()),  # null where the source brings none
        ("ratings", pa.list_(pa.float32())),  # single human ratings; null where the source brings none
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
        ("split_key", pa.string()),
        ("label", pa.string()),
        ("decided_by", pa.string()),  # "ratings" or "column"
        ("rating_mean", pa.float64()),  # null without ratings
        ("agreement", pa.float64()),  # 0 to 1; null without ratings
        ("confidence", pa.float64()),  # probability that the label is right; null without ratings
        ("ambiguous", pa.bool_()),
    ]
)
"""label/labeled.parquet and the three parts that split writes."""
