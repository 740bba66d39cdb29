"""FastAPI with the transformers pipeline in a plain `def` endpoint, which runs in a pool of threads.

python benchmarks/rivals/fastapi_pipeline.py CHECKPOINT PORT
"""

import sys
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from transformers import pipeline


class Texts(BaseModel):
    """The same body that our service takes."""

    texts: list[str]


checkpoint, port = sys.argv[1:]
app = FastAPI()
pipe = pipeline("text-classification", model=checkpoint, tokenizer=checkpoint, truncation=True, top_k=None)


@app.post("/predict")
def predict(given: Texts) -> list[Any]:
    """Labels with their scores."""
    return list(pipe(given.texts))


uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="warning")
