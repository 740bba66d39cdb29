"""What the page has at hand: the line, its release, who is signed in."""

from collections.abc import Mapping

from flows.recommend.shelf import Shelf
from flows.recommend_settings import RecommendSettings
from flows.web.lines import Named
from flows.web.sessions import Sessions
from serving.security import Keys


class Desk:
    """One per process."""

    def __init__(self, line: str, settings: RecommendSettings, keys: Keys, shelf: Shelf) -> None:
        """A desk for one line."""
        self.line, self.keys, self.shelf = line, keys, shelf
        self.sessions = Sessions(keys, settings.session_hours, settings.logins_per_minute)

    def lines(self) -> Mapping[str, Named]:
        """None: the page has one line and no others to go to."""
        return {}

    def links(self) -> Mapping[str, str]:
        """None: see `lines`."""
        return {}
