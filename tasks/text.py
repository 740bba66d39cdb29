"""The one text policy: what training and serving do to a text before its first write. Pure, versioned, idempotent."""

import hashlib
import html
import re
import unicodedata
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from tasks.core.settings import Settings

POLICY = 1
"""Version of the policy. Raise it whenever `clean` answers differently for the same text and settings."""

Mask = Annotated[
    Literal["off", "mask"],
    BeforeValidator(lambda value: "off" if value is False else value),  # a bare `off` is False to YAML 1.1
]


class TextSettings(Settings, block="text"):
    """The policy's switches. Personal data is replaced by a placeholder such as `[EMAIL]`."""

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

# Latin, Greek and Cyrillic: scripts that set words apart with spaces, so that a name before @ ends where it should
_LETTER = r"0-9A-Za-z_\u00c0-\u024f\u0370-\u03ff\u0400-\u04ff"
_EMAIL = re.compile(rf"(?<![{_LETTER}.%+-])[{_LETTER}.%+-]+@(?:[{_LETTER}-]+\.)+[{_LETTER}-]{{2,24}}")
_FROM, _TO = r"(?<![0-9A-Za-z_])", r"(?![0-9A-Za-z_])"
_CARD = re.compile(rf"{_FROM}(?:[0-9][ -]?){{12,18}}[0-9]{_TO}")
_IBAN = re.compile(rf"{_FROM}[A-Z]{{2}}[0-9]{{2}}(?:[ -]?[A-Z0-9]){{11,30}}", re.I)
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = re.compile(rf"(?<![0-9A-Za-z_.]){_OCTET}(?:\.{_OCTET}){{3}}(?!\.?[0-9A-Za-z_])")
_IPV6 = re.compile(r"(?<![0-9A-Za-z_:.])(?=[0-9a-f:]*[0-9])(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}(?![0-9A-Za-z_:])", re.I)
_GAP = r"[ .\-/]?"
_PHONES = (
    r"(?:(?<!\+)\+|00)[1-9](?:[ .\-/()]{0,2}[0-9]){7,14}",  # international
    rf"(?:1{_GAP})?(?:\([2-9][0-9]{{2}}\) ?|[2-9][0-9]{{2}}{_GAP})[2-9][0-9]{{2}}{_GAP}[0-9]{{4}}",  # North America
    rf"\(?0[1-9][0-9]{{0,3}}\)?{_GAP}[0-9]{{2,4}}(?:{_GAP}[0-9]{{2,4}}){{1,3}}",  # trunk 0: most of Europe and Asia
    rf"1[3-9][0-9]{_GAP}[0-9]{{4}}{_GAP}[0-9]{{4}}",  # China, mobile
)
_PHONE = re.compile(rf"{_FROM}(?:{'|'.join(_PHONES)})(?![.\-/]?[0-9]|[A-Za-z_])")
_IBAN_TABLE = (  # country and length, from the IBAN registry of ISO 13616
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 EE20 EG29 ES24 FI18 "
    "FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 "
    "LU20 LV21 LY25 MC27 MD24 ME22 MK19 MR27 MT31 MU30 NL18 NO15 PK24 PL28 PS29 PT25 QA29 RO24 RS22 SA24 SC31 SE24 "
    "SI19 SK24 SM27 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20"
)
_IBAN_LENGTHS = {entry[:2]: int(entry[2:]) for entry in _IBAN_TABLE.split()}

SUSPECT = re.compile(
    r"[\x00-\x1f\x7f&<@]|  |^ | \Z"
    r"|[0-9](?:[ .()/-]{0,2}[0-9]){8}|[0-9]\.[0-9]{1,3}\.[0-9]|[A-Za-z]{2}[0-9]{2}|:[0-9A-Fa-f]{0,4}:"
)
"""A text of plain ASCII in which nothing of this occurs is clean already, whatever the settings."""


def clean(text: str, settings: TextSettings) -> str:
    """The text as it may be stored and read by a model.

    Unicode repaired, tags and entities resolved, control characters out, whitespace collapsed, personal data masked.
    `clean(clean(x)) == clean(x)`. Linear in the length of the text.
    """
    if text.isascii() and not SUSPECT.search(text):
        return text
    steps = _steps(settings)
    for passes in range(2 * PASSES):
        before = text
        for step in steps:
            text = step(text)
        if text == before:
            return text
        if passes == PASSES:
            text = re.sub("[&<>]", " ", text)
    return text


def split_key(raw_text: str, salt: str) -> str:
    """Keyed blake2b (16 bytes, as hex) of the text as it came: NFKC, case folded, whitespace collapsed.

    Decides a row's side in the split and names its text in overlap checks. Taken before `clean`, so that changing the
    policy moves no row.
    """
    plain = raw_text.lower() if raw_text.isascii() else unicodedata.normalize("NFKC", raw_text).casefold()
    content = " ".join(plain.split()).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(content, digest_size=16, key=salt.encode()).hexdigest()


def policy(settings: TextSettings) -> dict[str, Any]:
    """What a release carries of the policy: version, settings and test vectors."""
    return {"version": POLICY, "settings": settings.model_dump(), "vectors": vectors(settings)}


def fingerprint(settings: TextSettings) -> str:
    """Names the policy: equal fingerprints clean alike. The salt is left out, it changes no text."""
    content = repr((POLICY, sorted(settings.model_dump(exclude={"split_salt"}).items())))
    return hashlib.blake2b(content.encode(), digest_size=8).hexdigest()


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
)


def _steps(settings: TextSettings) -> list[Callable[[str], str]]:
    steps: list[Callable[[str], str]] = []
    if settings.repair:
        steps.append(_repair)
    if settings.html:
        steps.append(_plain)
    steps.append(_collapse)
    masks = {"email": _mask_email, "iban": _mask_iban, "card": _mask_card, "ip": _mask_ip, "phone": _mask_phone}
    return steps + [mask for name, mask in masks.items() if getattr(settings, name) == "mask"]


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


def _mask_email(text: str) -> str:
    return _EMAIL.sub("[EMAIL]", text) if "@" in text else text


def _mask_phone(text: str) -> str:
    return _PHONE.sub(_phone, text)


def _phone(match: re.Match[str]) -> str:
    """Dates such as 08/03/11 have fewer digits than a telephone number with its area, `<3333333333` has but one."""
    digits = [char for char in match[0] if char.isdigit()]
    return "[PHONE]" if len(digits) >= 9 and len(set(digits)) > 1 else match[0]


def _mask_card(text: str) -> str:
    return _CARD.sub(lambda match: "[CARD]" if _luhn(match[0]) else match[0], text)


def _luhn(number: str) -> bool:
    """ISO/IEC 7812-1, annex B: every second digit from the right doubled, its digits added, the sum divides by 10."""
    digits = [int(digit) for digit in number if digit.isdigit()][::-1]
    return any(digits) and (sum(digits[::2]) + sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2])) % 10 == 0


def _mask_iban(text: str) -> str:
    return _IBAN.sub(_iban, text)


def _iban(match: re.Match[str]) -> str:
    """The placeholder for the account at the start of the match, and what the match took beyond it."""
    found = match[0]
    places = [place for place, char in enumerate(found) if char.isalnum()]
    length = _IBAN_LENGTHS.get(found[:2].upper(), 0)
    if not length or len(places) < length:
        return found
    end = places[length - 1] + 1
    compact = "".join(found[place] for place in places[:length])
    return "[IBAN]" + found[end:] if _mod97(compact) else found


def _mod97(iban: str) -> bool:
    """ISO 13616: the first four characters moved to the end, letters as 10 to 35, the number leaves 1 of 97."""
    return int("".join(str(int(char, 36)) for char in iban[4:] + iban[:4])) % 97 == 1


def _mask_ip(text: str) -> str:
    text = _IPV4.sub("[IP]", text)
    return _IPV6.sub(_ipv6, text) if ":" in text else text


def _ipv6(match: re.Match[str]) -> str:
    import ipaddress

    try:
        ipaddress.IPv6Address(match[0])
    except ValueError:
        return match[0]
    return "[IP]"
