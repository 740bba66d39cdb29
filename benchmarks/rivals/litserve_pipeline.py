"""LitServe with the transformers pipeline, its batching on.

python benchmarks/rivals/litserve_pipeline.py CHECKPOINT PORT
"""

import sys
from typing import Any

import litserve
from transformers import pipeline

BATCH = 32  # texts that may be computed together
BATCH_SECONDS = 0.01  # to wait for them


class Pipeline(litserve.LitAPI):
    """One text per request."""

    def setup(self, device: str) -> None:  # noqa: ARG002 - the interface's
        """Load the model, in a worker's process."""
        checkpoint = sys.argv[1]
        self.pipe = pipeline(
            "text-classification", model=checkpoint, tokenizer=checkpoint, truncation=True, top_k=None
        )  # fmt: skip

    def decode_request(self, request: dict[str, Any]) -> str:
        """The text."""
        return str(request["texts"][0])

    def predict(self, texts: list[str]) -> list[Any]:
        """Labels with their scores, for texts of several requests."""
        return list(self.pipe(texts, batch_size=BATCH))

    def encode_response(self, output: Any) -> list[Any]:
        """As the pipeline says it."""
        return [output]


if __name__ == "__main__":
    server = litserve.LitServer(Pipeline(max_batch_size=BATCH, batch_timeout=BATCH_SECONDS), accelerator="cpu")
    server.run(host="127.0.0.1", port=int(sys.argv[2]), log_level="warning", generate_client_file=False)
