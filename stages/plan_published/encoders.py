"""The published encoders whose memory is predicted, by name."""

from transformers import AutoConfig, PreTrainedConfig

# published sizes; where there are none, they are the defaults of the configuration class
PUBLISHED: dict[str, tuple[str, dict[str, int]]] = {
    "DistilBERT": ("distilbert", {}),
    "BERT-base": ("bert", {}),
    "RoBERTa-large": (
        "roberta",
        {
            "vocab_size": 50265,
            "hidden_size": 1024,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "intermediate_size": 4096,
            "max_position_embeddings": 514,
            "type_vocab_size": 1,
        },
    ),
}


def configuration(name: str) -> PreTrainedConfig:
    """Return the configuration of the encoder `name`, a key of `PUBLISHED`."""
    family, sizes = PUBLISHED[name]
    return AutoConfig.for_model(family, **sizes)
