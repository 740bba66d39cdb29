"""Texts and text policies of every kind, for Hypothesis."""

from hypothesis import strategies as st

from tasks import text as module
from tasks.text import TextSettings

KINDS = ("email", "phone", "card", "iban", "ip", "national_id", "person")
FRAGMENTS = [
    "&amp;", "&lt;", "&#38;", "&#x26;", "amp;", "lt;", "<", ">", "<b>", "</p>", "<br/>", "<!--", "-->",
    "<script>", "b>", "</script>", " ", "\u00a0", "\n", "\u200b", "\x00", "a", "@", "ab@cd.ef", ".", "4111",
    "1111", "-", "+44", "0", "12", "GB82", "WEST", "192.168.", "0.1", "::", "1:2", "(", ")", "ï»¿", "Ã©", "â€™",
    "é", "ﬁ", "“", "\ud800", "\ufeff", "张", "[EMAIL]", "[", "555", "234", "5678", "&#13;", "&#x0;", "&#55296;",
    "\u0301", "\x85", "&NewLine;", "11010519491231002X", "733-21-0360", "90688551B", "Mr. ", "Smith", "我叫", "王先生",
    "Sent from my phone", "张张张张", "AB 12 34 56 C", "RSSMRA85T10A562S", "Dear ", "regards, ",
]  # fmt: skip

texts = st.one_of(st.text(max_size=40), st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join))
policies = st.builds(
    TextSettings,
    repair=st.booleans(),
    html=st.booleans(),
    boilerplate=st.sampled_from([(), ("Sent from my phone", "4111 1111"), ("张张张张",)]),
    **{name: st.sampled_from(["off", "mask", "drop"]) for name in KINDS},
)


def slowly(given, policy):
    """What the policy makes of a text without any short cut."""
    for _ in range(40):
        for _, step in module._steps(policy).steps:
            given = step(given)
    return given
