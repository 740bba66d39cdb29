"""A classifier whose head is one linear layer on the text's embedding: it may start as a probe of its encoder."""

import json
from pathlib import Path
from typing import Any, Self

from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from tasks.core.files import read_json
from tasks.kinds.common.pooling import pooled


class EmbeddingClassifier(PreTrainedModel):
    """Any encoder, the mean of its last hidden states brought to length 1, and a linear layer on it.

    The mean is what encoders of sentences are trained for, and what export calls `embedding`. Attention is computed in
    its plain form, which every encoder has.
    """

    base_model_prefix = "encoder"

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.encoder = AutoModel.from_config(config)  # type: ignore[no-untyped-call]
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()  # type: ignore[no-untyped-call]

    @classmethod
    def from_pretrained(cls, folder: Any, *, local_files_only: bool = True, **more: Any) -> Self:  # type: ignore[override]
        """As by a class of transformers' own; settings of the configuration may be given by name."""
        config, more = AutoConfig.from_pretrained(
            folder, local_files_only=local_files_only, return_unused_kwargs=True, **more
        )
        return super().from_pretrained(folder, config=config, local_files_only=local_files_only, **more)

    def embed(self, **inputs: Any) -> tuple[Tensor, Any]:
        """[rows, width] of length 1, and all that the encoder says."""
        said = self.encoder(**inputs)
        return pooled(said.last_hidden_state, inputs["attention_mask"]), said

    def forward(self, **inputs: Any) -> SequenceClassifierOutput:
        """Logits [rows, classes] for `input_ids` and `attention_mask`, and hidden states where they are asked for."""
        embedding, said = self.embed(**inputs)
        return SequenceClassifierOutput(logits=self.classifier(embedding), hidden_states=said.hidden_states)


def loader(checkpoint: Path) -> Any:
    """What loads a checkpoint of train: the class above or the name of one of transformers, as config.json says."""
    try:
        ours = EmbeddingClassifier.__name__ in read_json(checkpoint / "config.json")["architectures"]
    except (OSError, json.JSONDecodeError, KeyError, TypeError):
        ours = False  # who loads it will say what is wrong
    return EmbeddingClassifier if ours else "AutoModelForSequenceClassification"
