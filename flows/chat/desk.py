"""What the page has at hand: the product, who is signed in, the dialogues, the service."""

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from flows.chat.client import Client
from flows.chat.talk import Talk
from flows.chat_settings import ChatSettings
from flows.web.lines import Lines, Named
from flows.web.sessions import Sessions
from serving.security import Keys
from tasks.core.errors import SettingsError
from tasks.dialogue.settings import AnswerSettings
from tasks.dialogue.store import Store

SIGNED = 32
"""Hex digits of a signature."""


@dataclass(frozen=True)
class Customer:
    """Who asks, known by a cookie alone: it names their dialogue and is signed."""

    dialogue: str
    csrf: str
    """Stands in every form: another site's form does not know it."""

    def knows(self, csrf: str) -> bool:
        """Whether a form is one of ours."""
        return hmac.compare_digest(csrf.encode(), self.csrf.encode())


class Desk:
    """One per process."""

    def __init__(self, product: str, settings: ChatSettings, keys: Keys, store: Store, client: Client) -> None:
        """Raises SettingsError where params.yaml is wrong."""
        self.product, self.settings, self.keys, self.store = product, settings, keys, store
        self.sessions = Sessions(keys, settings.session_hours, settings.logins_per_minute)
        self._lines = Lines()
        self._secret = store.secret()
        self._rates = MovingWindowRateLimiter(MemoryStorage())
        self.talk = Talk(store, client, lambda: self._lines()[self.about().answers].settings.text, settings.characters)

    def lines(self) -> Mapping[str, Named]:
        """None: this page is about no line."""
        return {}

    def links(self) -> Mapping[str, str]:
        """None: customers stay here."""
        return {}

    def about(self) -> AnswerSettings:
        """The product. Raises SettingsError where params.yaml has it no more."""
        self._lines()
        found = self._lines.products.get(self.product)
        if not isinstance(found, AnswerSettings):
            raise SettingsError(f"The product {self.product} is no longer in params.yaml.")
        return found

    def title(self) -> str:
        """What customers call it."""
        return self.about().title or self.product

    def new(self) -> Customer:
        """Somebody who has asked nothing yet."""
        return self._customer(secrets.token_hex(16))

    def cookie(self, customer: Customer) -> str:
        """What a browser keeps of a customer."""
        return f"{customer.dialogue}.{self._signed('dialogue', customer.dialogue)}"

    def find(self, cookie: str) -> Customer | None:
        """The customer of a cookie; None where we did not sign it."""
        name, _, signature = cookie.partition(".")
        right = hmac.compare_digest(signature.encode(), self._signed("dialogue", name).encode())
        return self._customer(name) if right else None

    def allows(self, customer: Customer) -> bool:
        """Count a message; False where there were too many, of this customer or of all."""
        each = RateLimitItemPerMinute(self.settings.messages_per_minute)
        every = RateLimitItemPerMinute(self.settings.all_per_minute)
        return self._rates.hit(each, customer.dialogue) and self._rates.hit(every, "all")

    def _customer(self, name: str) -> Customer:
        return Customer(name, self._signed("form", name))

    def _signed(self, what: str, name: str) -> str:
        content = f"{what}\n{self.product}\n{name}".encode("utf-8", "surrogateescape")
        return hmac.new(self._secret, content, "sha256").hexdigest()[:SIGNED]
