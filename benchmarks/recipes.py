"""What the default recipe reaches, by params alone, through the real stages.

    python benchmarks/recipes.py sentiment                # the default line over 5 seeds, to the release gate
    python benchmarks/recipes.py sst2                     # SST-2 of GLUE, judged on its dev sentences
    python benchmarks/recipes.py imdb --set max_length=256 --set epochs=1    # IMDB reviews, the official test side

Figures of finished seeds are kept in .tidegate/benchmarks/figures.json by params, code and data: a rerun is cheap, and
one that was interrupted goes on, in the middle of a training too. sst2 and imdb are read from the folder that
TIDEGATE_DATA names (default: ../shared/data).
"""

import argparse
import contextlib
import math
import os
import platform
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import corpora
import yaml
from corpora import Corpus
from project import KEPT, ROOT, Figures, code, measured, remember
from rich.console import Console
from rich.table import Table

from tasks.core.errors import SourceError, TidegateError
from tasks.core.files import read_json, sha256, write_json
from tasks.core.line import Line
from tasks.core.quiet import silence
from tasks.core.settings import line_params, parse, read_params
from tasks.text import TextSettings
from tasks.train import TrainSettings

STAGES = ("train", "evaluate", "quality_gate", "export", "release_gate")
GOALS = {  # metric: (goal, where it comes from)
    "sentiment": {"accuracy": (0.86, "aim")},
    "sst2": {"accuracy": (0.91, "aim; MiniLM-L6-H384 is published with 0.915")},
    "imdb": {"f1_positive": (0.92, "the field's mark at 256 tokens")},
}


def main() -> int:
    """Run one recipe; 0 also where its data are absent and it is skipped."""
    silence()
    arguments = parser().parse_args()
    data = Path(os.environ.get("TIDEGATE_DATA", ROOT.parent / "shared" / "data")).resolve()
    try:
        with contextlib.chdir(ROOT):
            report = run(arguments, data)
    except SourceError as error:
        print(f"skipped: {error}")
        return 0
    except TidegateError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    name = arguments.recipe + ("-proof" if arguments.rows or arguments.test_rows else "")
    write_json(KEPT / f"{name}.json", report)
    show(report)
    print(f"Written to {(KEPT / name).relative_to(ROOT)}.json")
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line: a recipe each, and what may differ from params.yaml."""
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    recipes = top.add_subparsers(dest="recipe", required=True)
    for name, seeds in (("sentiment", 5), ("sst2", 1), ("imdb", 1)):
        recipe = recipes.add_parser(name)
        recipe.add_argument("--seeds", type=int, default=seeds, help=f"trainings, each with its seed ({seeds})")
        recipe.add_argument("--seed", type=int, default=0, help="the first of these seeds (0)")
        recipe.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", type=setting,
                            help="another value for a setting of train; repeatable")  # fmt: skip
        recipe.add_argument("--rows", type=int, help="train on so many rows only: a proof that all works, no result")
        recipe.add_argument("--test-rows", type=int, help="judge on a seeded sample of so many rows")
        recipe.add_argument("--bert-base-steps", type=int, default=0 if name == "sentiment" else 5,
                            help="steps from which the time of a BERT-base is estimated; 0: no estimate")  # fmt: skip
    return top


def run(arguments: argparse.Namespace, data: Path) -> Figures:
    """All seeds of a recipe; the report that is shown and written."""
    default = line_params(read_params(), "sentiment")
    name = arguments.recipe
    corpus = (
        corpora.sentiment(default) if name == "sentiment"
        else corpora.load(name, data, parse(TextSettings, default["text"], "text"))
    ).sample(train=arguments.rows, validation=arguments.rows, test=arguments.test_rows)  # fmt: skip
    stages = STAGES if name == "sentiment" else STAGES[:2]
    params = changed({key: default[key] for key in ("kind", *stages)}, arguments)
    seeds = range(arguments.seed, arguments.seed + arguments.seeds)
    with tempfile.TemporaryDirectory() as folder:
        corpus.write(Path(folder))
        shutil.copy("data/sentiment/behaviour.yaml", folder)
        runs = {
            str(seed): measured(name, with_train(params, seed=seed), Path(folder), stages, lambda at: read(at, params))
            for seed in seeds
        }
        large = bert_base(corpus, params, arguments.bert_base_steps, Path(folder)) if arguments.bert_base_steps else {}
    summary = summarise(runs)
    return {
        "recipe": name, "params": params, "rows": corpus.rows(), "facts": corpus.facts, "seeds": runs,
        "summary": summary, "goals": GOALS[name], "machine": machine(), "bert_base": estimate(large, summary),
    }  # fmt: skip


def changed(params: Figures, arguments: argparse.Namespace) -> Figures:
    """The default recipe with the command line's words; a proof on a few rows must pass the quality gate."""
    params = with_train(params, **dict(arguments.set))
    if arguments.rows and "quality_gate" in params:
        params["quality_gate"] = {"checks": [{"metric": "accuracy", "min": 0.0}]}
    return params


def setting(text: str) -> tuple[str, Any]:
    """`key=value` of the command line, the value as YAML has it."""
    key, _, value = text.partition("=")
    if key not in TrainSettings.model_fields or not value:
        raise argparse.ArgumentTypeError(f"{text!r} is no KEY=VALUE of train: {', '.join(TrainSettings.model_fields)}")
    return key, yaml.safe_load(value)


def with_train(params: Figures, **values: Any) -> Figures:
    """The params with other values in their block `train`."""
    return {**params, "train": {**params["train"], **values}}


def read(folder: Path, params: Figures) -> Figures:
    """What a seed reached, flat: from evaluate/metrics.json and the verdicts where there are any."""
    metrics = read_json(folder / "evaluate" / "metrics.json")
    figures = {name: metrics[name] for name in ("accuracy", "accuracy_low", "accuracy_high", "f1_macro",
                                                "f1_macro_low", "f1_macro_high")}  # fmt: skip
    figures["f1_positive"] = metrics["per_class"]["positive"]["f1"]
    groups = metrics["slices"].get("ambiguous", {})
    if len(groups) > 1:
        figures |= {f"not ambiguous: {name}": groups["no"][name] for name in ("accuracy", "f1_macro")}
    calibration = metrics["calibration"]
    figures |= {f"torch: {name}": calibration[name] for name in ("ece_debiased", "band_high")}
    figures["epochs run"] = read_json(folder / "train" / "history.json")[-1]["epoch"]
    for gate in ("quality_gate", "release_gate"):
        if (path := folder / gate / "verdict.json").exists():
            figures[gate] = read_json(path)["verdict"]
    if "release_gate" in figures:
        figures |= variants(folder / "release_gate", params["release_gate"].get("calibration_slack", 0.0))
    return figures


def variants(folder: Path, slack: float) -> Figures:
    """Accuracy, calibration and its band of each ONNX variant, and which of them may be released."""
    verdict = read_json(folder / "verdict.json")
    figures = {"shipped": ", ".join(verdict["details"]["admissible"])}
    for check in verdict["checks"]:
        variant, _, what = check["name"].partition(".")
        if what in ("accuracy", "agreement"):
            figures[f"{variant}: {what}"] = check["value"]
        elif what == "calibration":
            figures[f"{variant}: ece_debiased"] = check["value"]
            figures[f"{variant}: band_high"] = round(check["max"] - slack, 6)
    return figures


def summarise(runs: dict[str, Figures]) -> dict[str, dict[str, float]]:
    """Mean of each number over the seeds, with a 95 % Student interval where there are two seeds or more."""
    from scipy.stats import t

    flat = [{**one, **{f"{stage}, s": seconds for stage, seconds in one["seconds"].items()}} for one in runs.values()]
    summary = {}
    for name in dict.fromkeys(key for one in flat for key in one):
        values = [one[name] for one in flat if isinstance(one.get(name), float | int)]
        if not values:
            continue
        mean, rows = statistics.fmean(values), len(values)
        summary[name] = {"mean": mean, "seeds": rows}
        if rows > 1:
            half = float(t.ppf(0.975, rows - 1)) * statistics.stdev(values) / math.sqrt(rows)
            summary[name] |= {"low": mean - half, "high": mean + half}
    return summary


def bert_base(corpus: Corpus, params: Figures, steps: int, folder: Path) -> Figures:
    """Seconds of a training step with the line's encoder and with one of BERT-base's size."""
    from bert_base import step_seconds

    what = {"bert_base": steps, "train": params["train"], "data": sha256(folder), "machine": machine(),
            "code": code(Line("line", params["kind"]), ["train"])}  # fmt: skip
    return remember(what, lambda _: step_seconds(corpus, params, steps))


def estimate(steps: Figures, summary: dict[str, dict[str, float]]) -> Figures:
    """How long one training would take with a BERT-base: the measured time by the ratio of a step's times."""
    if not steps:
        return {}
    ratio = steps["bert_base"] / steps["own"]
    train = summary.get("train, s", {}).get("mean")
    return {"step_seconds": steps, "ratio": ratio, "train_seconds": train and train * ratio}


def machine() -> Figures:
    """Where times were taken."""
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else torch.backends.cpu.get_cpu_capability()
    return {"cores": os.cpu_count(), "device": device, "machine": platform.machine(), "torch": torch.__version__}


def show(report: Figures) -> None:
    """The report as a table and sentences."""
    seeds, goals = report["seeds"], report["goals"]
    table = Table(title=f"{report['recipe']}: " + ", ".join(f"{n:,} {side}" for side, n in report["rows"].items()))
    for column in ("figure", "mean", "95 % over seeds", "goal", *(f"seed {seed}" for seed in seeds)):
        table.add_column(column, justify="left" if column == "figure" else "right")
    for name, told in report["summary"].items():
        interval = f"{told['low']:.4g} to {told['high']:.4g}" if "low" in told else ""
        goal = f"{goals[name][0]:g}" if name in goals else ""
        table.add_row(name, f"{told['mean']:.4g}", interval, goal, *(cell(one, name) for one in seeds.values()))
    for name in ("quality_gate", "release_gate", "shipped"):
        if any(name in one for one in seeds.values()):
            table.add_row(name, "", "", "", *(one.get(name, "") for one in seeds.values()))
    Console(width=None if sys.stdout.isatty() else 160).print(table)
    for sentence in sentences(report):
        print(sentence)


def cell(figures: Figures, name: str) -> str:
    """One seed's value of a row."""
    value = figures["seconds"].get(name.removesuffix(", s")) if name.endswith(", s") else figures.get(name)
    return "" if value is None else f"{value:.4g}"


def sentences(report: Figures) -> list[str]:
    """What the table does not hold."""
    said = [f"{fact}: {count:,}" for fact, count in report["facts"].items()]
    said += [f"goal of {name}: {goal:g}, {why}" for name, (goal, why) in report["goals"].items()]
    runs = report["seeds"].values()
    for who in ("torch", "fp32", "int8"):
        judged = [one[f"{who}: ece_debiased"] <= one[f"{who}: band_high"] for one in runs if f"{who}: band_high" in one]
        if judged:
            said.append(f"calibration of {who} inside the band of a perfectly calibrated model: "
                        f"{sum(judged)} of {len(judged)} seeds")  # fmt: skip
    epochs, train = (report["summary"].get(name, {}).get("mean") for name in ("epochs run", "train, s"))
    if train:
        said.append(f"training: {epochs * report['rows']['train'] / train:.0f} rows/s, start and validation included")
    if large := report["bert_base"]:
        total = f", some {large['train_seconds'] / 60:.0f} minutes in all" if large["train_seconds"] else ""
        steps = large["step_seconds"]
        said.append(
            f"a BERT-base would take {large['ratio']:.1f} times as long to train{total} "
            f"({steps['bert_base']:.2f} against {steps['own']:.2f} s a step)"
        )
    return said


if __name__ == "__main__":
    sys.exit(main())
