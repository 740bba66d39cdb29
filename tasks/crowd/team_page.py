"""The page of a label report: self-contained HTML, texts masked by the policy and escaped."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks import report
from tasks.crowd import report_plots
from tasks.crowd.team_report import TeamReport

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CONFUSED = 30


def page(
    title: str, read: str, told: TeamReport, names: Mapping[str, str], suspects: Sequence[Mapping[str, Any]],
    no_suspects: str,
) -> str:  # fmt: skip
    """The page as HTML.

    `names` has people by id, who else is shown by the id; `suspects` (text, given, suggested, probability) are rows to
    look at, `no_suspects` says why there are none.
    """
    known = dict.fromkeys(_people(told)) | dict(names)
    shown = {who: name or who for who, name in known.items()}
    return report.render(
        "label_report.html.j2",
        title=title,
        read=read,
        r=told,
        names=shown,
        plots=[(caption, report.data_uri(report.png(figure))) for caption, figure in _plots(told, shown)],
        confused=confused(told),
        suspects=suspects,
        no_suspects=no_suspects,
    )


def confused(told: TeamReport) -> list[tuple[str, str, str, int]]:
    """(person, aggregated label, answer, times), the most frequent mistakes over all people."""
    labels = told.gathered.votes.labels
    found = [
        (one.person, labels[truth], labels[given], int(times))
        for one in told.people
        for (truth, given), times in np.ndenumerate(one.confusion)
        if truth != given and times
    ]
    return sorted(found, key=lambda one: (-one[3], one[:3]))[:CONFUSED]


def _people(told: TeamReport) -> Iterable[str]:
    return [*told.gathered.votes.people, *told.gathered.seconds, *(week.person for week in told.weeks)]


def _plots(told: TeamReport, names: Mapping[str, str]) -> list[tuple[str, "Figure"]]:
    """(caption, figure) of each picture for which there is data."""
    found = []
    if any(one.right is not None for one in told.people):
        ranked = sorted(told.people, key=lambda one: (-one.shared, one.person))
        found.append(("Quality per person; red: at random, or against the others", report_plots.quality(ranked, names)))
        total = np.sum([one.confusion for one in told.people], axis=0)
        found.append(("What is taken for what, all people", report_plots.confusion(total, told.gathered.votes.labels)))
    if told.gathered.seconds:
        found.append(("Seconds a text", report_plots.seconds(told.gathered.seconds, names)))
    if told.weeks:
        mondays = sorted({week.monday for week in told.weeks})
        counts = {who: [0] * len(mondays) for who in sorted({week.person for week in told.weeks})}
        for week in told.weeks:
            counts[week.person][mondays.index(week.monday)] = week.answers
        found.append(("Answers a week", report_plots.workload(mondays, counts, names)))
    return found
