"""What the chat asks the service."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from flows import running
from flows.chat_settings import ChatSettings
from serving.settings import load_serving

log = logging.getLogger("tidegate")

KEY = "TIDEGATE_CHAT_KEY"
"""In the environment: the API key of the chat, an application of team.yaml."""


class Silent(Exception):
    """The service did not answer as it should."""


@dataclass(frozen=True)
class Reply:
    """What the service says to a question."""

    answers: list[dict[str, Any]]
    """Each with `answer` and `score`, the best first."""
    hand_over: bool
    why: str
    intent: str | None
    line: str
    """Which feedback on the best answer goes to."""
    request: str


def address(settings: ChatSettings) -> str:
    """Where the service is: as the chat is told, where `tidegate up` has it, or where params.yaml has it listen."""
    if settings.service:
        return settings.service.rstrip("/")
    serving = load_serving()
    host = f"[{serving.host}]" if ":" in serving.host else serving.host
    return running.address("service") or f"http://{host}:{serving.port}"


class Client:
    """A caller of the service, from any thread."""

    def __init__(self, where: Callable[[], str], product: str, seconds: float, key: str | None = None) -> None:
        self._where, self._product = where, product
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.Client(timeout=seconds, trust_env=False, headers=headers)

    def ask(self, text: str, request: str) -> Reply:
        """The answers to a question. Raises Silent."""
        found = self._post(f"/v1/products/{quote(self._product, safe='')}/answer", {"text": text}, request)
        try:
            about = found["feedback"]
            return Reply(
                list(found["answers"]), bool(found["hand_over"]), str(found["why"] or ""), found["intent"],
                str(about["line"]), str(about["request_id"]),
            )  # fmt: skip
        except (KeyError, TypeError) as error:
            raise self._silent(f"its answer is none of ours ({type(error).__name__})") from None

    def helpful(self, line: str, request: str, answer: str) -> None:
        """Tell the service that an answer was right. Raises Silent."""
        sent = {"request_id": request, "labels": [answer]}
        self._post(f"/v1/lines/{quote(line, safe='')}/feedback", sent, request)

    def _post(self, path: str, content: dict[str, Any], request: str) -> Any:
        try:
            answer = self._http.post(self._where() + path, json=content, headers={"X-Request-ID": request})
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._silent(type(error).__name__) from None
        if not answer.is_success:
            raise self._silent(f"{answer.status_code} to {path.rpartition('/')[2]}", answer.status_code)
        try:
            return answer.json()
        except ValueError:
            raise self._silent("its answer is no JSON") from None

    def _silent(self, why: str, code: int = 0) -> Silent:
        log.warning("the service does not answer the chat: %s", why)
        return Silent(code)
