"""The products of params.yaml: of one kind of several, told by their key `kind`."""

from typing import Annotated, Any

from pydantic import Discriminator, Tag

from tasks.dialogue.settings import AnswerSettings
from tasks.opinion.settings import OpinionSettings

FIRST = "opinion"
"""The kind of a product that names none: for long there was no other."""
KINDS = (FIRST, "answer")


def _kind(given: Any) -> Any:
    return given.get("kind", FIRST) if isinstance(given, dict) else getattr(given, "kind", FIRST)


Product = Annotated[
    Annotated[OpinionSettings, Tag("opinion")] | Annotated[AnswerSettings, Tag("answer")],
    Discriminator(
        _kind,
        custom_error_type="product_kind",
        custom_error_message=f"kind must be one of {', '.join(KINDS)}",
    ),
]


def misused(name: str, product: OpinionSettings | AnswerSettings, lines: dict[str, Any]) -> list[str]:
    """What is wrong with how a product names the lines of params.yaml; a sentence each."""
    if unknown := [line for line in product.needed if line not in lines]:
        return [f"products.{name} names {', '.join(unknown)}; lines are {', '.join(lines)}"]
    blocks = {line: block for line, block in lines.items() if isinstance(block, dict)}
    said = [
        f"products.{name} needs a line of kind {kind}, but {line} is of kind {blocks[line]['kind']}"
        for line, kind in product.needed.items()
        if blocks.get(line, {}).get("kind", kind) != kind
    ]
    if isinstance(product, AnswerSettings) and product.hand_over_intents and not said:
        label = blocks.get(product.intents or "", {}).get("label")
        known = (label.get("labels") if isinstance(label, dict) else None) or product.hand_over_intents
        if strange := [intent for intent in product.hand_over_intents if intent not in known]:
            said.append(f"products.{name}.hand_over_intents: {', '.join(strange)} is no label of {product.intents}")
    return said
