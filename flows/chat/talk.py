"""What each press of a button does in a dialogue, by customers and by staff."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flows.chat.client import Client, Silent
from tasks.core.errors import TidegateError
from tasks.dialogue.events import CUSTOMER, SERVICE, Dialogue, Event, State
from tasks.dialogue.spoken import one_line, plain
from tasks.dialogue.store import Store
from tasks.text import TextSettings

SUGGESTED = 3
"""Answers of the service that staff see of a question that was handed over."""
NEVER = frozenset({403, 404, 422})
"""What the service answers to feedback that it will never take."""


class Gone(TidegateError):
    """Somebody was faster, or the dialogue is over."""


def fresh() -> str:
    """The id of an event that is to come: it stands in the form, so that what is sent twice is kept once."""
    return secrets.token_hex(8)


@dataclass(frozen=True)
class Talk:
    """The dialogues of a product."""

    store: Store
    client: Client
    policy: Callable[[], TextSettings]
    """By which texts are cleaned and masked before they are kept."""
    characters: int

    def plain(self, text: str) -> str:
        """A message as it is kept; empty where nothing is left. Raises ValueError for one that is too long."""
        if len(text) > self.characters:
            raise ValueError
        return plain(text, self.policy())

    def say(self, name: str, event: str, text: str) -> None:
        """A customer's message; the service answers while the dialogue is its own. `text` is plain."""
        said = Event(event, name, CUSTOMER, "said", text, request=event)
        new, stands = self.store.add(said), self.store.dialogue(name)
        kept = said if new else self.store.event(name, event)
        last = self.store.events(name, 1)
        if kept and stands and stands.state == "service" and last and last[0].id == event:
            self._answer(kept)

    def _answer(self, said: Event) -> None:
        try:
            reply = self.client.ask(one_line(said.text), said.id)
        except Silent:
            self._hand_over(said.dialogue, f"{said.id}-h", {"why": "silent"}, said.id)
            return
        detail = {"line": reply.line, "intent": reply.intent, "answers": reply.answers[:SUGGESTED]}
        if reply.hand_over or not reply.answers:
            self._hand_over(said.dialogue, f"{said.id}-h", {**detail, "why": reply.why or "unsure"}, reply.request)
            return
        best = str(reply.answers[0]["answer"])
        self.store.add(Event(f"{said.id}-a", said.dialogue, SERVICE, "answered", best, reply.request, detail))

    def ask_for_people(self, name: str, event: str) -> None:
        """A customer wants a human."""
        self._hand_over(name, event, {"why": "asked"}, who=CUSTOMER)

    def _hand_over(self, name: str, event: str, detail: dict[str, Any], request: str = "", who: str = SERVICE) -> None:
        made = Event(event, name, who, "handed_over", request=request, detail=detail)
        self.store.move(made, "waiting", only=("service",))

    def rate(self, name: str, answer: str, helpful: bool) -> None:
        """Whether an answer helped, said once; a yes is told to the service, now or when it can be reached."""
        rated = self.store.event(name, answer)
        if rated is None or rated.what != "answered":
            raise Gone("There is no such answer.")
        said = Event(f"{answer}-r", name, CUSTOMER, "rated", "yes" if helpful else "no", rated.request)
        if self.store.add(said) and helpful:
            self._tell()

    def _tell(self) -> None:
        for one in self.store.untold():
            outcome = "taken"
            try:
                self.client.helpful(str(one.detail["line"]), one.request, one.text)
            except Silent as silent:
                if silent.args[0] not in NEVER:
                    return
                outcome = "refused"
            told = Event(f"{one.id}-t", one.dialogue, SERVICE, "told", request=one.request, detail={"is": outcome})
            self.store.add(told)

    def end(self, name: str, who: str = CUSTOMER) -> None:
        """Let nobody say anything more: a customer, or whoever of the staff has it."""
        only: tuple[State, ...] = ("agent",) if who != CUSTOMER else ("service", "waiting", "agent")
        if (stands := self.store.dialogue(name)) is not None and stands.state != "closed":
            event = Event(fresh(), name, who, "closed")
            self._moved(self.store.move(event, "closed", only=only, by="" if who == CUSTOMER else who))

    def take(self, name: str, who: str) -> None:
        """One of the staff takes a dialogue over, also from another of them. Raises Gone where it is no longer open."""
        event = Event(fresh(), name, who, "taken")
        self._moved(self.store.move(event, "agent", agent=who, only=("waiting", "agent")))

    def reply(self, name: str, event: str, who: str, text: str) -> None:
        """What one of the staff says. Raises Gone where they do not have it."""
        if self.store.event(name, event) is None:
            made = Event(event, name, who, "replied", text)
            self._moved(self.store.move(made, "agent", agent=who, only=("agent",), by=who))

    def hand_back(self, name: str, who: str) -> None:
        """Let the service answer again. Raises Gone where they do not have it."""
        self._moved(self.store.move(Event(fresh(), name, who, "handed_back"), "service", only=("agent",), by=who))

    def stands(self, name: str) -> Dialogue:
        """Where a dialogue stands; one that has not begun is the service's."""
        return self.store.dialogue(name) or Dialogue(name)

    def _moved(self, done: bool) -> None:
        if not done:
            raise Gone("This dialogue is no longer yours, or it is over. Look at it again.")
