"""Stage release: the bundle that is served, compared and promoted, with the evidence that it has earned it."""

import json
import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from tasks import verdict
from tasks.bundle import load_release, release_id, seal, write_provenance
from tasks.card import PLOTS, Facts, markdown, page
from tasks.core.files import atomic, read_json, write_json, write_parquet, write_text
from tasks.core.line import Line
from tasks.core.settings import PARAMS, Settings, read_params
from tasks.core.stage import declared, fingerprint, run_stage
from tasks.inference import Model, Signature, read_signature
from tasks.kinds import load
from tasks.kinds.common.serve import named
from tasks.text import TextSettings, policy
from tasks.verdict import Verdict

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger("tidegate")

SCHEMA = 1
GATES = ("validate", "quality_gate", "release_gate")
EVIDENCE = {
    "ingest": ["provenance.json"],
    "validate": ["verdict.json"],
    "label": ["report.json"],
    "split": ["report.json"],
    "evaluate": ["metrics.json", "confusion.png", "reliability.png"],
    "quality_gate": ["verdict.json", "gate.html"],
    "export": ["calibration.json"],
    "release_gate": ["verdict.json", "gate.html"],
}
WARMUP = 8  # requests
TOLERANCE = 0.2  # of a warm-up answer's probability: another processor rounds int8 otherwise, a wrong one is far off


class ReleaseSettings(Settings, block="release"):
    """What the model card says that no stage can know. Plain Markdown is allowed in the longer texts."""

    title: str = Field("", description="Headline of the card; default: the line's name.")
    summary: str = Field("A text model.", description="What it does, in a sentence or two.")
    intended_use: str = Field("Not stated.", description="What it is for, and what it is not for.")
    limits: tuple[str, ...] = Field((), description="What a user must know before trusting it.")
    licence: str = Field("not stated", description="Licence of the model.")
    data_licence: str = Field("The licence of the data is not stated.", description="Where data comes from, by whom.")


def release(line: Line, settings: ReleaseSettings, text: TextSettings, out: Path) -> None:
    """Write the self-contained folder bundle/, and provenance.json beside it, on which nothing depends.

    Raises RejectedError when the release gate rejects. The README of what lies in the bundle is its MODEL_CARD.md.
    """
    decided = verdict.require(line.file("release_gate", "verdict.json"))
    bundle = out / "bundle"
    bundle.mkdir()
    signature = _copy_model(line, decided.details["admissible"], bundle)
    write_json(bundle / "text_policy.json", {"schema_version": SCHEMA, **policy(text)})
    _copy_evidence(line, bundle / "evidence")
    models = [Model.load(bundle, variant) for variant in signature.variants]
    _write_reference(line, models, bundle)
    verdicts = {gate: verdict.read(line.file(gate, "verdict.json")) for gate in GATES}
    _write_card(line, settings, signature, verdicts, bundle)
    log.info("release %s", seal(bundle, _manifest(line, signature, verdicts)))
    write_provenance(out / "provenance.json")


def _copy_model(line: Line, admissible: list[str], bundle: Path) -> Signature:
    """The admissible variants, the tokenizer, and a signature that names no other variant."""
    content = read_json(line.file("export", "signature.json"))
    content["variants"] = {name: content["variants"][name] for name in admissible}
    write_json(bundle / "signature.json", content)
    for variant in content["variants"]:  # its graph, and what its kind puts beside it
        for file in sorted((line.folder / "export/variants").glob(f"{variant}.*")):
            shutil.copyfile(file, bundle / file.name)
    shutil.copyfile(line.file("train", "tokenizer.json"), bundle / "tokenizer.json")
    return read_signature(bundle / "signature.json")


def _copy_evidence(line: Line, folder: Path) -> None:
    """Plots under their own name, the rest as <stage>_<name>."""
    folder.mkdir()
    for stage, names in EVIDENCE.items():
        for name in names:
            target = name if name.endswith(".png") else f"{stage}_{name}"
            shutil.copyfile(line.file(stage, name), folder / target)


def _write_reference(line: Line, models: list[Model], bundle: Path) -> None:
    """reference/ (rows that judge, and each variant's answers on them), split_keys.parquet, warmup.json."""
    import pandas as pd

    kind = load(line.kind, "rows")
    write_parquet(bundle / "split_keys.parquet", kind.keys(line))
    sides = {side: kind.judged(line, side)[kind.REFERENCE] for side in kind.JUDGING}
    rows = pd.concat([frame.assign(side=side) for side, frame in sides.items()], ignore_index=True)
    write_parquet(bundle / "reference/rows.parquet", rows)
    for model in models:
        log.info("reference answers of %s on %d rows", model.variant, len(rows))
        _write_answers(bundle / f"reference/{model.variant}.parquet", model, rows["text"].tolist())
    write_json(bundle / "warmup.json", warmup(models, rows))


def _write_answers(path: Path, model: Model, texts: list[str]) -> None:
    """predicted, probabilities [classes] float32 and embedding [width] float16, row by row as in rows.parquet.

    Of lists over all there is the first alone: `listed` names them, and probabilities are of these.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    answers = model.kept(texts, cleaned=True)
    columns = {
        "predicted": pa.array(answers.labels, pa.string()),
        "probabilities": _lists(answers.probabilities),
        "embedding": _lists(answers.embeddings.astype(np.float16)),
    }
    if answers.listed is not None:
        columns["listed"] = pa.array(named(answers.listed, model.signature.labels), pa.list_(pa.string()))
    with atomic(path) as temporary:
        pq.write_table(pa.table(columns), temporary, compression="zstd")


def _lists(values: Any) -> Any:
    import pyarrow as pa

    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])


def warmup(models: list[Model], rows: "pd.DataFrame") -> dict[str, Any]:
    """Requests from the shortest to the longest reference text, each with every variant's answer to it alone."""
    import numpy as np

    order = rows["text"].str.len().to_numpy().argsort(kind="stable")
    texts = [rows["text"].iloc[place] for place in order[np.linspace(0, len(order) - 1, WARMUP).astype(int)]]
    requests = []
    for text in dict.fromkeys(texts):
        expected = {model.variant: _expected(model, text) for model in models}
        requests.append({"text": text, "expected": expected})
    return {"schema_version": SCHEMA, "tolerance": TOLERANCE, "requests": requests}


def _expected(model: Model, text: str) -> dict[str, Any]:
    """A text's label and probabilities; of a list those of its items, to four digits, as all of many are small."""
    answer = model.kept([text], cleaned=True)
    label, probabilities = answer.labels[0], answer.probabilities[0].tolist()
    if answer.listed is None:
        return {"label": label, "probabilities": [round(one, 4) for one in probabilities]}
    [listed] = named(answer.listed, model.signature.labels)
    return {
        "label": label,
        "listed": listed,
        "probabilities": [float(f"{p:.4g}") for p in probabilities[: len(listed)]],
    }


def _write_card(
    line: Line, settings: ReleaseSettings, signature: Signature, verdicts: dict[str, Verdict], bundle: Path
) -> None:
    facts = Facts(
        line=line.name,
        settings=settings,
        signature=signature,
        params=read_params()["lines"][line.name],
        provenance=read_json(line.file("ingest", "provenance.json")),
        labels=read_json(line.file("label", "report.json")),
        split=read_json(line.file("split", "report.json")),
        metrics=read_json(line.file("evaluate", "metrics.json")),
        verdicts=verdicts,
    )
    write_text(bundle / "MODEL_CARD.md", markdown(facts))
    images = {plot: line.file("evaluate", f"{plot}.png").read_bytes() for plot in PLOTS}
    write_text(bundle / "model_card.html", page(facts, images))


def _manifest(line: Line, signature: Signature, verdicts: dict[str, Verdict]) -> dict[str, Any]:
    """What the manifest says beside the files: exactly what dvc.yaml declares that this stage depends on."""
    digests = fingerprint("release", line)
    return {
        "line": line.name,
        "kind": line.kind,
        "labels": signature.labels,
        "admissible": sorted(signature.variants),
        "inputs": {name: digest for name, digest in digests.items() if not name.startswith(f"{PARAMS}:")},
        "params": {key: _param(key) for key in declared("release", line)["params"]},
        "verdicts": {gate: found.model_dump(mode="json") for gate, found in verdicts.items()},
    }


def _param(key: str) -> Any:
    """The value at a dotted key of params.yaml, as JSON has it; None where there is none."""
    value: Any = read_params()
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return json.loads(json.dumps(value, default=str))


__all__ = ["ReleaseSettings", "load_release", "release", "release_id", "write_provenance"]

if __name__ == "__main__":
    run_stage(release)
