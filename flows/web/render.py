"""A page's templates and static files. Everything that is not a template's own text is escaped."""

import gzip
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from flows.web.words import SHARED, Words, figure, moment, percent, points

FORM_BYTES = 8 * 2**10
KINDS = {"css": "text/css", "js": "text/javascript"}


@dataclass(frozen=True)
class Static:
    """A style sheet or a script."""

    kind: str
    read: Callable[[], bytes]

    @cached_property
    def packed(self) -> bytes:
        """Compressed, once: Plotly's script is 4.5 MB."""
        return gzip.compress(self.read(), mtime=0)

    @cached_property
    def mark(self) -> str:
        """Changes with the content, so that a browser may keep it for ever."""
        return hashlib.sha256(self.read()).hexdigest()[:12]


def own(package: str, name: str) -> Static:
    """A file of a package's folder `static/`."""
    return Static(KINDS[name.rpartition(".")[2]], files(package).joinpath("static", name).read_bytes)


class Site:
    """What tells one page from another: its name, which its cookies bear, and its package of templates and words."""

    def __init__(
        self, name: str, package: str, statics: Mapping[str, Static], form_bytes: int = FORM_BYTES, home: str = "/"
    ) -> None:
        """`statics` by name, beside the shared style sheet; no form is larger than `form_bytes`.

        `home` is where one goes who signed in or out.
        """
        self.package, self.form_bytes, self.home = package, form_bytes, home
        self.session_cookie, self.form_cookie = f"tidegate_{name}", f"tidegate_{name}_form"
        self.statics = {"web.css": own(SHARED, "web.css"), **statics}

    def words(self, language: str) -> Words:
        """What the page says in a language."""
        return Words(language, self.package)

    def page(self, template: str, **values: Any) -> str:
        """A page of `templates/`."""
        return self._environment.get_template(template).render(**values)

    def address(self, name: str) -> str:
        """The address of a static file."""
        return f"/static/{name}?v={self.statics[name].mark}"

    @cached_property
    def _environment(self) -> Environment:
        made = Environment(
            loader=ChoiceLoader([PackageLoader(self.package), PackageLoader(SHARED)]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        made.globals |= {"static": self.address}
        made.filters |= {"percent": percent, "points": points, "figure": figure, "moment": moment}
        return made
