"""Personal data in a text, found by its shape and its check digits and replaced by typed placeholders.

Every mask is a pure function of a text, linear in its length, and leaves its own placeholder alone.
"""

import re
from collections.abc import Callable

PLACEHOLDERS = {
    "email": "[EMAIL]", "phone": "[PHONE]", "card": "[CARD]", "iban": "[IBAN]", "ip": "[IP]", "national_id": "[ID]",
    "person": "[PERSON]",
}  # fmt: skip
"""The kinds of personal data and what stands in their place."""

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


def mask_email(text: str) -> str:
    """E-mail addresses -> [EMAIL]."""
    return _EMAIL.sub("[EMAIL]", text) if "@" in text else text


def mask_phone(text: str) -> str:
    """What has the shape of a telephone number with its area -> [PHONE]."""
    return _PHONE.sub(_phone, text)


def mask_card(text: str) -> str:
    """Payment card numbers of 13 to 19 digits with a right Luhn digit -> [CARD]."""
    return _CARD.sub(lambda match: "[CARD]" if _luhn(match[0]) else match[0], text)


def mask_iban(text: str) -> str:
    """Bank accounts with right check digits -> [IBAN]."""
    return _IBAN.sub(_iban, text)


def mask_ip(text: str) -> str:
    """IPv4 and IPv6 addresses -> [IP]."""
    text = _IPV4.sub("[IP]", text)
    return _IPV6.sub(_ipv6, text) if ":" in text else text


def _phone(match: re.Match[str]) -> str:
    """Dates such as 08/03/11 have fewer digits than a telephone number with its area, `<3333333333` has but one."""
    digits = [char for char in match[0] if char.isdigit()]
    return "[PHONE]" if len(digits) >= 9 and len(set(digits)) > 1 else match[0]


def _luhn(number: str) -> bool:
    """ISO/IEC 7812-1, annex B: every second digit from the right doubled, its digits added, the sum divides by 10."""
    digits = [int(digit) for digit in number if digit.isdigit()][::-1]
    return any(digits) and (sum(digits[::2]) + sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2])) % 10 == 0


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


def _ipv6(match: re.Match[str]) -> str:
    import ipaddress

    try:
        ipaddress.IPv6Address(match[0])
    except ValueError:
        return match[0]
    return "[IP]"


Mask = Callable[[str], str]

BY_SHAPE: dict[str, Mask] = {
    "email": mask_email, "iban": mask_iban, "card": mask_card, "ip": mask_ip, "phone": mask_phone,
}  # fmt: skip
"""The masks that need nothing but the text, in the order in which they are applied."""
