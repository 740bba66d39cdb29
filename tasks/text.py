"""The one text policy: what training and serving do to a text before its first write. Pure, versioned, idempotent."""

import functools
import hashlib
import html
import re
import unicodedata
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from pydantic import BeforeValidator, Field

from tasks.boilerplate import stripper
from tasks.core.settings import Settings
from tasks.identity import COUNTRIES, LETTERED, Country, id_mask
from tasks.masks import BY_SHAPE, PLACEHOLDERS
from tasks.persons import ANNOUNCED, mask_person

if TYPE_CHECKING:
    import pyarrow as pa

POLICY = 1
"""Version of the policy. Raise it whenever `clean` answers differently for the same text and settings."""

Mask = Annotated[
    Literal["off", "mask", "drop"],
    BeforeValidator(lambda value: "off" if value is False else value),  # a bare `off` is False to YAML 1.1
]
"""What is done about a kind of personal data. drop: sync and ingest leave its row out; the service masks."""


class TextSettings(Settings, block="text"):
    """The policy's switches. Personal data is replaced by a placeholder such as `[EMAIL]`.

    A setting that comes later has a default under which nothing changes, so that the policies of older releases and
    batches, which do not name it, go on answering as they did.
    """

    repair: bool = Field(True, description="mend Unicode read with the wrong encoding, and odd quotes and ligatures")
    html: bool = Field(True, description="take tags out and turn entities into what they stand for")
    email: Mask = Field("mask", description="e-mail addresses -> [EMAIL]")
    phone: Mask = Field("mask", description="telephone numbers -> [PHONE]")
    card: Mask = Field("mask", description="payment card numbers with a right Luhn digit -> [CARD]")
    iban: Mask = Field("mask", description="bank accounts with right check digits -> [IBAN]")
    ip: Mask = Field("mask", description="IPv4 and IPv6 addresses -> [IP]")
    split_salt: str = Field(
        "tidegate", min_length=1, max_length=16, description="keys split_key; changing it redraws the splits"
    )
    national_id: Mask = Field("off", description="identity numbers with right check digits -> [ID]")
    id_countries: tuple[Country, ...] = Field(COUNTRIES, min_length=1, description="whose identity numbers")
    person: Mask = Field("off", description="names that a title or a phrase announces -> [PERSON]")
    group: Literal["keep", "hash"] = Field(
        "keep",
        description="whose row it is: as the source names them, or a hash keyed by split_salt; keep the salt "
        "secret where these names are personal data",
    )
    boilerplate: tuple[Annotated[str, Field(min_length=4)], ...] = Field(
        (), description="phrases taken off the beginning and the end of a text, such as `Sent from my phone`"
    )


PASSES = 16  # entities nested deeper than this are no honest text

_INLINE = (
    "a abbr acronym b bdi bdo big cite code del dfn em font i ins kbd mark q s samp small span strike strong sub sup "
    "tt u var wbr"
)
_BLOCK = (
    "address area article aside audio base blockquote body br button canvas caption center col colgroup data datalist "
    "dd details dialog dir div dl dt embed fieldset figcaption figure footer form frame frameset h1 h2 h3 h4 h5 h6 "
    "head header hr html iframe img input label legend li link main map menu meta nav noscript object ol optgroup "
    "option output p param picture pre progress section select source summary svg table tbody td template textarea "
    "tfoot th thead time title tr track ul video"
)
_TAGS = re.compile(
    rf"</?(?=[a-z])(?:(?P<inline>{'|'.join(_INLINE.split())})|{'|'.join(_BLOCK.split())})(?:[\s/][^<>]*)?>", re.I
)
# a body ends where another begins, or a text of nothing but beginnings would take time by its square
_UNSEEN = re.compile(r"<!--(?:(?!<!--).)*?-->|<(script|style)\b[^<>]*>(?:(?!<\1\b).)*?</\1\s*>", re.I | re.S)
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")

# controls, lone surrogates, and characters without width but those that join letters and emoji
_CONTROL = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff"
    "\ufff9-\ufffb\ufffe\uffff\ud800-\udfff]"
)

# a text of plain ASCII in which nothing of this occurs is clean already, whatever the switches of the first version;
# in the syntax that Python's `re` and Arrow's RE2 share
_SUSPECT = (
    r"[\x00-\x1f\x7f&<@]|  |^ | \Z"
    r"|[0-9](?:[ .()/-]{0,2}[0-9]){8}|[0-9]\.[0-9]{1,3}\.[0-9]|[A-Za-z]{2}[0-9]{2}|:[0-9A-Fa-f]{0,4}:"
)
_SHORTER = r"[0-9](?:[ .()/-]{0,2}[0-9]){5}"  # some identity numbers


def clean(text: str, settings: TextSettings) -> str:
    """The text as it may be stored and read by a model.

    Unicode repaired, tags and entities resolved, control characters out, whitespace collapsed, personal data masked,
    boilerplate taken off. `clean(clean(x)) == clean(x)`. Linear in the length of the text.
    """
    return trace(text, settings)[0]


def trace(text: str, settings: TextSettings) -> tuple[str, tuple[str, ...]]:
    """What `clean` makes of a text, and the names of the steps that changed it, in their order."""
    steps = _steps(settings)
    if steps.suspect and text.isascii() and not steps.suspect.search(text):
        return text, ()
    changed: dict[str, None] = {}
    for passes in range(2 * PASSES):
        before = text
        for name, step in steps.steps:
            done = step(text)
            if done != text:
                changed[name], text = None, done
        if text == before:
            break
        if passes == PASSES:
            text = re.sub("[&<>]", " ", text)
    return text, tuple(name for name, _ in steps.steps if name in changed)


def to_drop(cleaned: str, settings: TextSettings) -> str | None:
    """The first kind of personal data that is set to `drop` and of which the cleaned text had some; else None.

    Told by the placeholder, so that a row masked by an earlier policy is dropped by a stricter one as well.
    """
    return next((kind for kind in _steps(settings).drop if PLACEHOLDERS[kind] in cleaned), None)


def suspect(settings: TextSettings) -> str | None:
    """A pattern: a text of plain ASCII in which it does not occur is clean already and no row to drop.

    Python's `re` and RE2 find the same by it. None where nothing of the kind is known.
    """
    pattern = _steps(settings).suspect
    return pattern.pattern if pattern else None


def split_key(raw_text: str, salt: str) -> str:
    """Keyed blake2b (16 bytes, as hex) of the text as it came: NFKC, case folded, whitespace collapsed.

    Decides a row's side in the split and names its text in overlap checks. Taken before `clean`, so that changing the
    policy moves no row.
    """
    plain = raw_text.lower() if raw_text.isascii() else unicodedata.normalize("NFKC", raw_text).casefold()
    content = " ".join(plain.split()).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(content, digest_size=16, key=salt.encode()).hexdigest()


def group_of(names: "pa.ChunkedArray", settings: TextSettings) -> "pa.ChunkedArray":
    """Whose rows they are as the policy lets it be kept; what was hashed before stays as it is.

    A blank name, or what pandas and JSON write for a missing one, is nobody's: null. A whole number that was read as a
    float, as a column with gaps is, names whom the whole number names.
    """
    import pyarrow as pa

    nobody = {*NOBODY, *(_hashed(name, settings) for name in NOBODY)}  # hashes: of batches that took blanks for a name
    kept = {name: _kept(name, nobody, settings) for name in names.unique().to_pylist()}
    if all(name == own for name, own in kept.items()):
        return names
    return pa.chunked_array([pa.array([kept[name] for name in names.to_pylist()], pa.string())])


NOBODY = ("", "nan", "NaN", "<NA>", "None")
_HASHED = re.compile("g-[0-9a-f]{32}")
_FLOAT = re.compile(r"-?(?:0|[1-9][0-9]*)\.0+|-?[1-9](?:\.[0-9]+)?e\+[0-9]{2}")
_EXACT = 2**53  # beyond it floats skip whole numbers


def _kept(name: str | None, nobody: set[str], settings: TextSettings) -> str | None:
    if name is None or name.strip() in nobody:
        return None
    if _HASHED.fullmatch(name):
        return name
    if _FLOAT.fullmatch(name) and (number := float(name)).is_integer() and abs(number) < _EXACT:
        name = str(int(number))
    return name if settings.group == "keep" else _hashed(name, settings)


def _hashed(name: str, settings: TextSettings) -> str:
    return f"g-{hashlib.blake2b(name.encode(), digest_size=16, key=settings.split_salt.encode()).hexdigest()}"


def policy(settings: TextSettings) -> dict[str, Any]:
    """What a release carries of the policy: version, settings and test vectors."""
    return {"version": POLICY, "settings": settings.model_dump(), "vectors": vectors(settings)}


def fingerprint(settings: TextSettings) -> str:
    """Names the policy: equal fingerprints clean alike. The salt is left out, it changes no text.

    A setting that came after the first version counts where it is not at its default, so that batches keep theirs.
    """
    default = TextSettings()
    told = {
        name: value
        for name, value in settings.model_dump(exclude={"split_salt"}).items()
        if name in _FIRST or value != getattr(default, name)
    }
    return hashlib.blake2b(repr((POLICY, sorted(told.items()))).encode(), digest_size=8).hexdigest()


_FIRST = ("repair", "html", "email", "phone", "card", "iban", "ip")


def salt_digest(salt: str) -> str:
    """Names a salt, so that keys made with different ones are never mixed."""
    return hashlib.blake2b(b"salt", digest_size=8, key=salt.encode()).hexdigest()


def vectors(settings: TextSettings) -> list[tuple[str, str]]:
    """(given, expected) pairs: a service that answers otherwise runs another policy than its release."""
    return [(given, clean(given, settings)) for given in _EXAMPLES]


_EXAMPLES = (
    "Plain text stays as it is.",
    "  two   spaces,\ta tab\r\nand a line end  ",
    "The film<br /><br />was <b>not</b> good &amp; I left; 3 < 5 and I <3 it",
    "&amp;lt;i&amp;gt;twice escaped&amp;lt;/i&amp;gt;",
    "sÃ³lo para ti, the crewâ€™s work",
    "“curly” and ‘single’ quotes, ﬁne ligature, ｆｕｌｌ width",
    "zero\u200bwidth, bell\x07, soft\u00adhyphen, byte order mark\ufeff",
    "write to jane.doe+films@example.co.uk or 邮箱li@example.cn",
    "call +44 20 7946 0958, (555) 234-5678 or 138 1234 5678; on 2013-09-16 at 19:12",
    "card 4111 1111 1111 1111, not 4111 1111 1111 1112",
    "pay to GB82 WEST 1234 5698 7654 32 NOW or DE89370400440532013000",
    "from 192.168.0.1 and 2001:db8::ff00:42:8329, not 1.2.3 or std::vector",
    "这部电影非常好看。",
    "",
    "身份证11010519491231002X，手机13812345678；SSN 733-21-0360, DNI 90688551B, not 90688551A",
    "My name is Ann Lee, ask Mr. Smith; 王先生说我叫李雷",
    "ISBN 0-306-40615-2, order 1029384756, call 020 7946 0958",
)


class _Steps(NamedTuple):
    steps: list[tuple[str, Callable[[str], str]]]
    suspect: re.Pattern[str] | None  # what a text must hold to be changed at all; None: no such short cut
    drop: list[str]


@functools.lru_cache(maxsize=64)
def _steps(settings: TextSettings) -> _Steps:
    masks = {**BY_SHAPE, "person": mask_person}
    if settings.national_id != "off":  # before cards: one in ten identity numbers of 18 digits has a right Luhn digit
        masks = {"email": masks["email"], "national_id": id_mask(settings.id_countries), **masks}
    steps = [
        *([("repair", _repair)] if settings.repair else []),
        *([("html", _plain)] if settings.html else []),
        ("whitespace", _collapse),
        *((kind, mask) for kind, mask in masks.items() if getattr(settings, kind) != "off"),
    ]
    if settings.boilerplate:
        plain = settings.model_copy(update={"boilerplate": ()})
        steps.append(("boilerplate", stripper([clean(phrase, plain) for phrase in settings.boilerplate])))
    drop = [kind for kind in PLACEHOLDERS if getattr(settings, kind) == "drop"]
    suspects = [_SUSPECT, *(re.escape(PLACEHOLDERS[kind]) for kind in drop)]
    suspects += [_SHORTER, LETTERED] if settings.national_id != "off" else []
    suspects += [ANNOUNCED] if settings.person != "off" else []
    return _Steps(steps, None if settings.boilerplate else re.compile("|".join(suspects)), drop)


def _repair(text: str) -> str:
    if text.isascii():
        return text
    import ftfy

    return str(ftfy.fix_text(text, unescape_html=False))


def _plain(text: str) -> str:
    if "&" in text:
        text = _ENTITY.sub(lambda match: html.unescape(match[0]), text)
    if "<" in text:
        text = _UNSEEN.sub(" ", text)
        text = _TAGS.sub(lambda match: "" if match["inline"] else " ", text)
    return text


def _collapse(text: str) -> str:
    return " ".join(_CONTROL.sub("", text).split())
