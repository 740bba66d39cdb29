"""How well the text policy finds personal data on the written cases of tests/tasks/personal_data.txt; what it costs.

    python benchmarks/masking.py             # precision and recall by kind and language; time of a text
    python benchmarks/masking.py --wrong     # the cases that are not as marked as well

The cases are few, were written by the same hands as the masks, and are half of them hard on purpose: they compare
versions of the masks. Of texts of yours they say little; look at some.
"""

import argparse
import sys
import time

from project import ROOT
from rich.console import Console
from rich.table import Table
from scipy.stats import binomtest

from tasks.core.errors import TidegateError
from tasks.core.files import read_parquet
from tasks.text import TextSettings, clean

sys.path.insert(0, str(ROOT / "tests"))

EVERY = TextSettings(national_id="mask", person="mask")
POLICIES = {
    "as of old": TextSettings(),
    "with identity numbers": TextSettings(national_id="mask"),
    "with names as well": EVERY,
}


def main() -> None:
    """Print the tables that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wrong", action="store_true", help="show the cases that are not as marked")
    arguments = parser.parse_args()
    console = Console()
    console.print(quality())
    if arguments.wrong:
        console.print(wrong(), highlight=False, markup=False)
    console.print(cost())


def quality() -> Table:
    """Precision and recall with exact 95 % intervals (Clopper and Pearson)."""
    from personal_data import cases, chinese, score

    table = Table("kind", "language", "right", "wrong", "missed", "precision", "recall", title="Personal data found")
    known = cases()
    parts = {
        "both": known,
        "English etc.": [case for case in known if not chinese(case)],
        "Chinese": [case for case in known if chinese(case)],
    }
    scores = {name: score(lambda text: clean(text, EVERY), part) for name, part in parts.items()}
    for kind in scores["both"]:
        for name, found in scores.items():
            counts = found[kind]
            told = [str(count) for count in counts]
            shares = [_share(counts.right, counts.wrong), _share(counts.right, counts.missed)]
            table.add_row(kind, name, *told, *shares, end_section=name == "Chinese")
    return table


def _share(hits: int, misses: int) -> str:
    if not hits + misses:
        return "-"
    low, high = binomtest(hits, hits + misses).proportion_ci(method="exact")
    return f"{hits / (hits + misses):.3f} ({low:.3f} to {high:.3f})"


def wrong() -> str:
    """Given and made of it, a case a line."""
    from personal_data import cases, wrongly

    plain = TextSettings(**dict.fromkeys(("email", "phone", "card", "iban", "ip"), "off"))
    return "\n".join(
        f"{given}  ->  {made}"
        for given, made in wrongly(lambda text: clean(text, EVERY), cases())
        if made != clean(given, plain)
    )


def cost() -> Table:
    """Microseconds a text, of the film sentences of the default line."""
    path = ROOT / "data" / "sentiment" / "ingest" / "rows.parquet"
    if not path.exists():
        raise TidegateError(f"{path} is missing. Run `tidegate run sentiment --until ingest`.")
    texts = read_parquet(path, ["text"])["text"].tolist()
    table = Table(
        "policy", "microseconds a text", title=f"Time of {len(texts):,} film sentences, the best of five rounds"
    )
    for name, settings in POLICIES.items():
        rounds = []
        for _ in range(5):
            start = time.perf_counter()
            for text in texts:
                clean(text, settings)
            rounds.append(time.perf_counter() - start)
        table.add_row(name, f"{1e6 * min(rounds) / len(texts):.1f}")
    return table


if __name__ == "__main__":
    try:
        main()
    except TidegateError as error:
        sys.exit(f"error: {error}")
