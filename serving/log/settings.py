"""Settings of the prediction log, and the two secrets that come from the environment alone."""

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator

from tasks.core.errors import SettingsError
from tasks.core.settings import PARAMS, Settings, parse, read_params

URL = "TIDEGATE_LOG_URL"
"""Environment variable with the database's URL; it wins over params.yaml, so that passwords stay out of it."""
KEY = "TIDEGATE_LOG_KEY"
"""Environment variable with the secret that keys hashes of texts."""

Text = Annotated[
    Literal["masked", "hmac", "off"],
    BeforeValidator(lambda value: "off" if value is False else value),  # a bare `off` is False to YAML 1.1
]


class LogSettings(Settings):
    """What of each answer is kept, where, and for how long.

    With `masked` every check is open. With `hmac` those that read words are off: drift of vocabulary and of topics, the
    examples in reports, labelling and retraining on live texts; repeated texts still show. With `off` repeats go too.
    Drift of embeddings, labels, confidence, length and script needs no text and is always open.
    """

    url: str = Field(
        "sqlite:///.tidegate/predictions.db",
        description=f"database by SQLAlchemy URL: sqlite:///FILE or postgresql://HOST/NAME; {URL} wins",
    )
    spool: str = Field(".tidegate/predictions", min_length=1, description="folder of what is not in the database yet")
    spool_mb: int = Field(512, ge=1, description="size of the spool; beyond it answers are dropped and counted")
    text: Text = Field("masked", description=f"masked, its hmac (needs {KEY}), or off")
    keep_days: int = Field(90, ge=1, description="older rows are deleted, once a day")
    projection: int = Field(24, ge=16, le=32, description="numbers that an embedding is projected to")
    drain_seconds: float = Field(1.0, gt=0, le=60, description="seconds between moves of the spool into the database")
    batch_rows: int = Field(5_000, ge=1, le=100_000, description="rows in a transaction, more or less")

    @field_validator("url")
    @classmethod
    def _no_password(cls, url: str) -> str:
        user, at, _ = url.partition("://")[2].rpartition("@")
        if at and ":" in user:
            raise ValueError(f"a password has no place in params.yaml; give the whole URL in {URL} instead")
        return url

    def database(self) -> str:
        """The URL that counts."""
        return os.environ.get(URL) or self.url

    def key(self) -> str | None:
        """The secret that keys hashes of texts, None where there is none. Raises SettingsError where one is needed."""
        key = os.environ.get(KEY) or None
        if key is None and self.text == "hmac":
            raise SettingsError(
                f"serving.log.text is hmac, and the environment has no {KEY}. Set it to a secret of 32 characters or "
                "more, the same on every machine, e.g. from `openssl rand -hex 32`."
            )
        return key


def load_log(path: Path = PARAMS) -> LogSettings:
    """The block `serving.log` of params.yaml; all defaults where there is none. Raises SettingsError."""
    serving = read_params(path).get("serving") if path.exists() else None
    return parse(LogSettings, serving.get("log") if isinstance(serving, dict) else None, "serving.log")
