"""All of params.yaml: every block of every line, validated at once."""

from operator import attrgetter
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, Field, ValidationError, model_validator

from flows.alert_settings import AlertSettings
from flows.annotate_settings import AnnotatePageSettings
from flows.chat_settings import ChatSettings
from flows.housekeeping_settings import HousekeepingSettings
from flows.infra import InfraSettings
from flows.loop_settings import LoopSettings
from flows.ops_settings import OpsSettings
from flows.recommend_settings import RecommendSettings
from flows.up_settings import UpSettings
from serving.settings import load_serving
from tasks import behaviour, kinds
from tasks.annotation.settings import AnnotateSettings
from tasks.comparison import CompareSettings
from tasks.core.errors import DataError, SettingsError
from tasks.core.files import read_json
from tasks.core.line import Line
from tasks.core.settings import PARAMS, Settings, explain, line_params, parse, read_params
from tasks.dialogue.settings import AnswerSettings
from tasks.drift.settings import MonitorSettings
from tasks.evaluate import EvaluateSettings
from tasks.export import ExportSettings
from tasks.ingest import IngestSettings
from tasks.label import LabelSettings
from tasks.opinion.settings import OpinionSettings
from tasks.products import Product, misused
from tasks.quality_gate import QualityGateSettings
from tasks.release import ReleaseSettings
from tasks.release_gate import ReleaseGateSettings
from tasks.sources import AnswersSource, LogSource, Source, Sources
from tasks.split import SplitSettings
from tasks.text import TextSettings
from tasks.train import TrainSettings
from tasks.validate import ValidateSettings

ProductT = TypeVar("ProductT", OpinionSettings, AnswerSettings)
GUIDES: dict[type[Settings], str] = {OpinionSettings: "docs/finance.md", AnswerSettings: "docs/support.md"}


class PromoteSettings(InfraSettings, block="promote"):
    """Who lets a release serve, and what it must keep to where it serves."""

    approval: Literal["none", "human"] = Field(
        "none", description="human: the release flow proposes what it made, and an approver decides"
    )
    approval_hours: float = Field(72, gt=0, description="a proposal that nobody decides on by then counts as declined")
    two_pairs_of_eyes: bool = Field(False, description="who made a release may not approve it; needs team.yaml")
    automatic: bool = Field(False, description="the release flow promotes what it made where the comparison accepts it")
    bump: Literal["patch", "minor", "major"] = Field(
        "minor", description="which part of the version a promotion raises"
    )

    @model_validator(mode="after")
    def _fits(self) -> "PromoteSettings":
        if self.automatic and (self.approval == "human" or self.two_pairs_of_eyes):
            asked = "approval: human" if self.approval == "human" else "two_pairs_of_eyes: true"
            raise ValueError(f"automatic: true goes with no approval, but {asked} asks for one")
        return self


class LineSettings(Sources):
    """One line: what it is, where its raw text comes from, a block per stage, and how a challenger is compared."""

    kind: Literal["classify", "retrieve", "rank"] = Field(description="task kind")
    text: TextSettings
    sources: list[Source] = Field(min_length=1, description="where raw data comes from")
    ingest: IngestSettings
    validate_: ValidateSettings = Field(alias="validate")  # pydantic has a method of that name
    label: LabelSettings
    split: SplitSettings
    train: TrainSettings
    evaluate: EvaluateSettings
    quality_gate: QualityGateSettings
    export: ExportSettings
    release_gate: ReleaseGateSettings
    release: ReleaseSettings
    annotate: AnnotateSettings = AnnotateSettings()
    compare: CompareSettings = CompareSettings()
    promote: PromoteSettings = PromoteSettings()
    monitor: MonitorSettings = MonitorSettings()
    loop: LoopSettings = LoopSettings()
    keep_releases: int = Field(10, ge=1, description="unregistered releases that the release store keeps")

    @model_validator(mode="after")
    def _judges_its_own(self) -> "LineSettings":
        names = [source.name for source in self.sources]
        if unknown := [name for name in self.quality_gate.sources or () if name not in names]:
            raise ValueError(f"quality_gate.sources names {', '.join(unknown)}; sources are {', '.join(names)}")
        for block in ("train_only_sources", "base_sources"):
            if unknown := [name for name in getattr(self.split, block) if name not in names]:
                raise ValueError(f"split.{block} names {', '.join(unknown)}; sources are {', '.join(names)}")
        return self

    @model_validator(mode="after")
    def _suits_its_kind(self) -> "LineSettings":
        of = kinds.load(self.kind, "settings")
        problems = [
            f"{path} is missing; a line of kind {self.kind} needs it: {why}"
            for path, why in of.NEEDED.items()
            if not attrgetter(path)(self)
        ]
        for path, allowed in of.ALLOWED.items():
            given = attrgetter(path)(self)
            if given not in allowed:
                every = " or ".join("null" if value is None else str(value) for value in allowed)
                what = "given" if isinstance(given, BaseModel) else given
                problems.append(f"{path} is {what}, but a line of kind {self.kind} allows {every} alone")
        problems += [
            f"sources.{number} is of kind {source.kind}: its rows are texts and what people said of them, and those of "
            f"a line of kind {self.kind} are events. Bring what users did from where it is kept"
            for number, source in enumerate(self.sources)
            if isinstance(source, LogSource | AnswersSource) and not of.TEXTS
        ]
        if problems:
            raise ValueError("; ".join(problems))
        return self


class Params(Settings):
    """The top level of params.yaml; what is below is validated where it is used."""

    lines: dict[str, Any]
    default_lines: tuple[str, ...] = Field((), description="what `tidegate run` takes without a name; none: all lines")
    serving: Any = None
    alerts: AlertSettings = AlertSettings()
    housekeeping: HousekeepingSettings = HousekeepingSettings()
    up: UpSettings = UpSettings()
    ops: OpsSettings = OpsSettings()
    annotate: AnnotatePageSettings = AnnotatePageSettings()
    chat: ChatSettings = ChatSettings()
    recommend: RecommendSettings = RecommendSettings()
    products: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], Product] = Field(
        {}, description="what bundles lines: by name, other than a line's"
    )

    @model_validator(mode="after")
    def _names_lines(self) -> "Params":
        for name, product in self.products.items():
            if name in self.lines:
                raise ValueError(f"products.{name} has the name of a line: both would keep data in data/{name}")
            if said := misused(name, product, self.lines):
                raise ValueError("; ".join(said))
        if unknown := [name for name in self.default_lines if name not in self.lines]:
            raise ValueError(f"default_lines names {', '.join(unknown)}; lines are {', '.join(self.lines)}")
        return self


def load(lines: list[str] | None = None) -> dict[str, LineSettings]:
    """The settings of some lines (default: all), by name.

    Every line and the block of the service are validated whichever is asked for. Raises SettingsError that lists all
    errors.
    """
    params = read_params()
    for name in lines or []:
        line_params(params, name)
    settings, problems = {}, _top_level(params)
    for name, content in params["lines"].items():
        try:
            settings[name] = LineSettings.model_validate(content)
        except ValidationError as error:
            problems += explain(error, LineSettings, f"lines.{name}")
    if problems:
        raise SettingsError("params.yaml has errors:\n" + "\n".join(f"- {problem}" for problem in problems))
    return {name: settings[name] for name in lines or settings}


def of_texts(name: str) -> LineSettings:
    """The settings of a line whose rows are texts that people can label. Raises SettingsError for any other."""
    settings = load([name])[name]
    if not kinds.load(settings.kind, "settings").TEXTS:
        raise SettingsError(
            f"{name} is of kind {settings.kind}: its rows are what users did, and people label none of them. Bring new "
            "events by its sources."
        )
    return settings


def default_lines() -> list[str]:
    """The lines that `tidegate run` takes where none is named. Raises SettingsError for a wrong top level."""
    params = parse(Params, read_params(), str(PARAMS))
    return list(params.default_lines or params.lines)


def products() -> dict[str, Product]:
    """The products of params.yaml by name, of whatever kind. Raises SettingsError for a wrong top level."""
    return parse(Params, read_params(), str(PARAMS)).products


def answering() -> dict[str, AnswerSettings]:
    """The products that answer, which have a chat, by name. Raises SettingsError for a wrong top level."""
    return {name: one for name, one in products().items() if isinstance(one, AnswerSettings)}


def product(name: str, kind: type[ProductT]) -> ProductT:
    """The settings of one product. Raises SettingsError where there is none of that name and kind."""
    known = {one: settings for one, settings in products().items() if isinstance(settings, kind)}
    if name not in known:
        names = ", ".join(known) or f"none; {GUIDES[kind]} says how to write one"
        raise SettingsError(f"There is no product {name!r} of this kind in {PARAMS}. Products: {names}.")
    return known[name]


def _top_level(params: dict[str, Any]) -> list[str]:
    """What is wrong beside the lines."""
    problems = []
    try:
        Params.model_validate(params)
    except ValidationError as error:
        problems += explain(error, Params, str(PARAMS))
    try:
        load_serving()
    except SettingsError as error:
        problems += str(error).splitlines()
    return problems


def labels(name: str, settings: LineSettings) -> list[str]:
    """The labels of a line, as its settings name them or, where they do not, as its data had them in its last run.

    Raises DataError where neither says.
    """
    known = Line(name).file("label", "labels.json")
    if settings.label.labels:
        return list(settings.label.labels)
    if not known.exists():
        raise DataError(
            f"{name} names no labels: they are those of its data, and nobody has looked at these yet. "
            f"`tidegate run {name} --until label` first."
        )
    found: list[str] = read_json(known)
    return found


def load_behaviour(lines: dict[str, LineSettings]) -> dict[str, behaviour.Suite]:
    """The behaviour tests of some lines, by name. Raises SettingsError that lists all errors of all their files."""
    suites, problems = {}, []
    for name, settings in lines.items():
        try:
            suites[name] = behaviour.load(Line(name).folder / "behaviour.yaml", settings.label.labels or None)
        except SettingsError as error:
            problems.append(str(error))
    if problems:
        raise SettingsError("\n".join(problems))
    return suites
