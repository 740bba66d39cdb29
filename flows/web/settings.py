"""What the block of every page in params.yaml says: one per project, every value with a default."""

from pydantic import Field

from tasks.core.settings import Settings


class PageSettings(Settings):
    """Where a page is, and how long people stay signed in."""

    host: str = Field("127.0.0.1", description="other than loopback only with a team.yaml")
    port: int = Field(0, ge=0, le=65535, description="0 lets the system choose")
    session_hours: float = Field(12, gt=0, le=168, description="after which one signs in again")
    logins_per_minute: int = Field(10, ge=1, description="attempts to sign in, from one address")
