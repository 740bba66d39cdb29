"""No program of Tidegate calls home."""

import os

SILENT = {
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "TOKENIZERS_PARALLELISM": "true",
}


def silence() -> None:
    """Switch telemetry off in this process and its children. Called by every entry point before its imports."""
    os.environ.update(SILENT)
