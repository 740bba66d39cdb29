"""No program of Tidegate calls home."""

import os

SILENT = {
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",  # of transformers too: a bar per file loaded says nothing in a log
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "ORT_DISABLE_TELEMETRY": "1",  # onnxruntime sends model and graph names, on Linux since 1.29
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "TOKENIZERS_PARALLELISM": "true",
    "TRANSFORMERS_VERBOSITY": "error",
}


def silence() -> None:
    """Switch telemetry and chatter off here and in child processes. Called by every entry point before its imports."""
    os.environ.update(SILENT)
