"""What happens in a dialogue, and where it stands."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

State = Literal["service", "waiting", "agent", "closed"]
"""Who is to speak: the service, people of whom nobody has come yet, the one who took it over, or nobody any more."""
What = Literal[
    "said", "answered", "rated", "told", "handed_over", "taken", "replied", "handed_back", "closed"
]  # fmt: skip
"""said: by the customer. answered: by the service. rated: an answer, by the customer. told: a rating, to the service.
taken, replied, handed_back, closed: by one of the staff, who has it; a customer closes as well."""
CUSTOMER, SERVICE = "customer", "service"


def microseconds() -> int:
    """Now, in microseconds since 1970, UTC."""
    return time.time_ns() // 1000


@dataclass(frozen=True)
class Event:
    """One thing that happened."""

    id: str
    dialogue: str
    who: str
    what: What
    text: str = ""
    request: str = ""
    """The id of the request to the service that it is about."""
    detail: Mapping[str, Any] = field(default_factory=dict)
    time: int = field(default_factory=microseconds)
    number: int = 0
    """Its place among all events, once it is kept."""


@dataclass(frozen=True)
class Dialogue:
    """Where a dialogue stands."""

    id: str
    state: State = "service"
    agent: str = ""
    changed: int = 0
    last: int = 0
