"""National identity numbers: candidates by shape, confirmed by their check digits with python-stdnum."""

import re
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Literal, NamedTuple, get_args

Country = Literal["br", "cn", "de", "es", "fr", "gb", "in", "it", "kr", "nl", "pl", "se", "us"]
COUNTRIES: tuple[Country, ...] = get_args(Country)

NEAR = 40  # characters before a number in which the word that announces it may stand


class _Form(NamedTuple):
    """One way to write a country's number."""

    country: Country
    shape: str
    check: str = ""  # module of stdnum; none where the number has no check digit
    said: str = ""  # words of which one must stand before it: the check digit alone lets too much through


_ITALIAN = r"[A-Z]{6}[0-9L-NP-V]{2}[A-EHLMPRST][0-9L-NP-V]{2}[A-Z][0-9L-NP-V]{3}[A-Z]"
_FORMS = (
    _Form("cn", r"[1-9][0-9]{5} ?[12][0-9]{7} ?[0-9]{3}[0-9X]", "cn.ric"),  # ISO 7064, area and date
    _Form("us", r"[0-9]{3}-[0-9]{2}-[0-9]{4}", "us.ssn"),  # no check digit, but numbers never given out
    _Form("us", r"[0-9]{3} [0-9]{2} [0-9]{4}", "us.ssn", r"\b(?:ssn|social)"),
    _Form("de", r"[1-9][0-9](?: ?[0-9]{3}){3}", "de.idnr"),
    _Form("nl", r"[0-9]{9}", "nl.bsn", r"\b(?:bsn|sofi)|burgerservice"),
    _Form("es", r"[0-9]{8}[ -]?[A-Z]", "es.dni"),
    _Form("es", r"[XYZ][ -]?[0-9]{7}[ -]?[A-Z]", "es.nie"),
    _Form("fr", r"[12] ?[0-9]{2} ?[0-9]{2} ?(?:[0-9]{2}|2[AB]) ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}", "fr.nir"),
    _Form("it", _ITALIAN, "it.codicefiscale"),
    _Form("gb", r"(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z](?: ?[0-9]{2}){3} ?[A-D]"),
    _Form("br", r"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}", "br.cpf"),
    _Form("br", r"[0-9]{11}", "br.cpf", r"\bcpf"),
    _Form("in", r"[2-9][0-9]{3}(?:[ -][0-9]{4}){2}", "in_.aadhaar"),  # Verhoeff
    _Form("in", r"[2-9][0-9]{11}", "in_.aadhaar", r"\b(?:aadha+r|uidai)|आधार"),
    _Form("kr", r"[0-9]{6}-[1-8][0-9]{6}", "kr.rrn"),
    _Form("pl", r"[0-9]{11}", "pl.pesel", r"\bpesel"),
    _Form("se", r"(?:[0-9]{2})?[0-9]{6}[-+][0-9]{4}", "se.personnummer"),
)

LETTERED = f"(?i:{_ITALIAN})"
"""The one shape that may have fewer than six digits in a row: letters stand for digits there."""


def id_mask(countries: Sequence[Country] = COUNTRIES) -> Callable[[str], str]:
    """A mask for the identity numbers of these countries -> [ID].

    The check modules are loaded here, some 15 MB and a tenth of a second, and not by the first text that needs them.
    """
    wanted = [form for form in _FORMS if form.country in countries]
    forms = [(re.compile(form.shape, re.I), re.compile(form.said, re.I), _check(form.check)) for form in wanted]
    shapes = "|".join(dict.fromkeys(form.shape for form in wanted))
    candidates = re.compile(rf"(?<![0-9A-Za-z_.-])(?:{shapes})(?![0-9A-Za-z_]|[.-][0-9])", re.I)

    def replaced(match: re.Match[str]) -> str:
        found, before = match[0], match.string[max(0, match.start() - NEAR) : match.start()]
        digits = set(filter(str.isdigit, found))
        sure = len(digits) > 1 and any(
            shape.fullmatch(found) and said.search(before) and check(found) for shape, said, check in forms
        )
        return "[ID]" if sure else found

    return lambda text: candidates.sub(replaced, text) if _HINT.search(text) else text


_HINT = re.compile("[0-9]{2}")  # cheap, and most texts have none


def _check(module: str) -> Callable[[str], bool]:
    import stdnum

    valid: Callable[[str], bool] = import_module(f"{stdnum.__name__}.{module}").is_valid if module else bool
    return lambda number: valid(number.upper().replace(" ", ""))
