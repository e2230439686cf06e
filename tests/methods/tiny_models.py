"""A tiny random classifier of every supported family, with what is peculiar to it, and what its layers look like.

The names below are the tests' own, taken from the library's classes, not from the table that is tested.
"""

from dataclasses import dataclass

import torch
from torch import nn
from transformers import (
    AlbertConfig,
    AutoConfig,
    AutoModelForSequenceClassification,
    BertConfig,
    DebertaV2Config,
    DistilBertConfig,
    ElectraConfig,
    ModernBertConfig,
    MPNetConfig,
    PreTrainedConfig,
    PreTrainedModel,
    RobertaConfig,
    XLMRobertaConfig,
)

VOCABULARY, POSITIONS, WIDTH, INNER, LAYERS, CLASSES = 50, 44, 16, 24, 3, 2

_SIZES = {
    "vocab_size": VOCABULARY,
    "max_position_embeddings": POSITIONS,
    "hidden_size": WIDTH,
    "intermediate_size": INNER,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 2,
    "initializer_range": 0.2,  # wide enough that every part of the model shows in its logits
}
_DISTILBERT_SIZES = {"hidden_dim" if name == "intermediate_size" else name: size for name, size in _SIZES.items()}
_DEBERTA_V3 = {
    "relative_attention": True,
    "position_buckets": 4,
    "pos_att_type": "p2c|c2p",
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "position_biased_input": False,
    "type_vocab_size": 0,
}
_MODERNBERT = {
    "pad_token_id": 0,
    "bos_token_id": 2,
    "eos_token_id": 3,
    "cls_token_id": 2,
    "sep_token_id": 3,
    "local_attention": 4,
    "global_attn_every_n_layers": 2,  # layers 0 and 2 see all tokens, layer 1 two on either side
}


@dataclass(frozen=True)
class Tiny:
    """One family's tiny model, and where things stand in the library's classes.

    Attributes:
        config: class and values of its configuration.
        attention: name of the class of its attention, with the output projection.
        layer: name of the class of one layer.
        feed_forward: names, in a layer, of the feed-forward block's first and last linear layer.
        norm: name, in a layer, of the normalization of the feed-forward block's residual sum; None: it stands before the block.
        body: number of parameters of the encoder.
        projections: sum of inputs and outputs over one layer's attention projections.
        head_layers: number of linear layers of the head.
        blocks: number of layers that have weights of their own.
    """

    config: tuple[type[PreTrainedConfig], dict]
    attention: str
    layer: str
    feed_forward: tuple[str, str]
    norm: str | None
    body: int
    projections: int = 4 * 2 * WIDTH
    head_layers: int = 2
    blocks: int = LAYERS

    @property
    def head(self) -> int:
        """Parameters of the head: a linear layer for the classes, and where there is another one, of width C, it too.

        ModernBERT's other one has no bias, but a normalization of C weights after it.
        """
        return CLASSES * (WIDTH + 1) + (self.head_layers - 1) * WIDTH * (WIDTH + 1)


_C, _F = WIDTH, INNER
_NORM = 2 * _C
_LAYER = 4 * (_C * _C + _C) + _NORM + (_C * _F + _F) + (_F * _C + _C) + _NORM  # attention, feed-forward block, their biases
_WORDS, _PLACES = VOCABULARY * _C, POSITIONS * _C
_POOLER = _C * _C + _C
_E = 8  # width of the embeddings where it is not that of the layers
_BERT_FEED_FORWARD = ("intermediate.dense", "output.dense")

TINY = {
    "bert": Tiny(
        config=(BertConfig, _SIZES),
        attention="BertAttention",
        layer="BertLayer",
        feed_forward=_BERT_FEED_FORWARD,
        norm="output.LayerNorm",
        body=_WORDS + _PLACES + 2 * _C + _NORM + LAYERS * _LAYER + _POOLER,
        head_layers=1,
    ),
    "distilbert": Tiny(
        config=(DistilBertConfig, _DISTILBERT_SIZES),
        attention="DistilBertSelfAttention",
        layer="TransformerBlock",
        feed_forward=("ffn.lin1", "ffn.lin2"),
        norm="output_layer_norm",
        body=_WORDS + _PLACES + _NORM + LAYERS * _LAYER,
    ),
    "roberta": Tiny(
        config=(RobertaConfig, _SIZES | {"type_vocab_size": 1}),
        attention="RobertaAttention",
        layer="RobertaLayer",
        feed_forward=_BERT_FEED_FORWARD,
        norm="output.LayerNorm",
        body=_WORDS + _PLACES + _C + _NORM + LAYERS * _LAYER,
    ),
    "xlm-roberta": Tiny(
        config=(XLMRobertaConfig, _SIZES | {"type_vocab_size": 1}),
        attention="XLMRobertaAttention",
        layer="XLMRobertaLayer",
        feed_forward=_BERT_FEED_FORWARD,
        norm="output.LayerNorm",
        body=_WORDS + _PLACES + _C + _NORM + LAYERS * _LAYER,
    ),
    "electra": Tiny(
        config=(ElectraConfig, _SIZES | {"embedding_size": _E}),
        attention="ElectraAttention",
        layer="ElectraLayer",
        feed_forward=_BERT_FEED_FORWARD,
        norm="output.LayerNorm",
        body=(VOCABULARY + POSITIONS + 2 + 2) * _E + (_E * _C + _C) + LAYERS * _LAYER,
    ),
    "deberta-v3": Tiny(
        config=(DebertaV2Config, _SIZES | _DEBERTA_V3),
        attention="DebertaV2Attention",
        layer="DebertaV2Layer",
        feed_forward=_BERT_FEED_FORWARD,
        norm="output.LayerNorm",
        body=_WORDS + _NORM + 2 * 4 * _C + _NORM + LAYERS * _LAYER,  # distances: twice position_buckets rows, normalized
    ),
    "deberta-v2-unshared": Tiny(
        config=(DebertaV2Config, _SIZES | _DEBERTA_V3 | {"share_att_key": False, "conv_kernel_size": 3, "conv_act": "gelu"}),
        attention="DebertaV2Attention",
        layer="DebertaV2Layer",
        feed_forward=_BERT_FEED_FORWARD,
        norm="output.LayerNorm",
        body=_WORDS + _NORM + 2 * 4 * _C + _NORM + LAYERS * (_LAYER + 2 * (_C * _C + _C)) + (3 * _C * _C + _C) + _NORM,
        projections=6 * 2 * _C,
    ),
    "mpnet": Tiny(
        config=(MPNetConfig, _SIZES),
        attention="MPNetAttention",
        layer="MPNetLayer",
        feed_forward=_BERT_FEED_FORWARD,
        norm="output.LayerNorm",
        body=_WORDS + _PLACES + _NORM + LAYERS * _LAYER + 32 * 2,  # 32 distances, a number for each attention head
    ),
    "albert": Tiny(
        config=(AlbertConfig, _SIZES | {"embedding_size": _E}),
        attention="AlbertAttention",
        layer="AlbertLayer",
        feed_forward=("ffn", "ffn_output"),
        norm="full_layer_layer_norm",
        body=(VOCABULARY + POSITIONS + 2 + 2) * _E + (_E * _C + _C) + _LAYER + _POOLER,
        head_layers=1,
        blocks=1,
    ),
    "modernbert": Tiny(
        config=(ModernBertConfig, _SIZES | _MODERNBERT),
        attention="ModernBertAttention",
        layer="ModernBertEncoderLayer",
        feed_forward=("mlp.Wi", "mlp.Wo"),
        norm=None,
        # no biases; normalizations: embeddings, two a layer less layer 0's first, the last
        body=_WORDS + LAYERS * (4 * _C * _C + 3 * _C * _F) + (1 + 2 * LAYERS - 1 + 1) * _C,
        projections=(_C + 3 * _C) + (_C + _C),
    ),
}


def tiny_config(name: str, dropout: float = 0.0) -> PreTrainedConfig:
    """The configuration of one tiny model; every probability of dropout in it is `dropout`."""
    family, values = TINY[name].config
    config = family(**values, num_labels=CLASSES)
    for key in config.to_dict():
        if key.endswith("dropout") or "dropout_prob" in key:
            setattr(config, key, dropout)
    return AutoConfig.for_model(**config.to_dict())


def tiny_classifier(name: str) -> PreTrainedModel:
    """A random classifier without dropout; its weights are a function of `name`."""
    torch.manual_seed(0)
    return AutoModelForSequenceClassification.from_config(tiny_config(name))


def padded_batch(model: nn.Module, length: int = 9) -> dict[str, torch.Tensor]:
    """Token ids (4, `length`) and their mask; two rows are padded with the model's own padding token."""
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(5, VOCABULARY, (4, length), generator=generator)
    mask = torch.ones_like(ids)
    for row, tokens in ((1, length - 3), (3, 2)):
        mask[row, tokens:] = 0
    return {"input_ids": ids.masked_fill(mask == 0, model.config.pad_token_id or 0), "attention_mask": mask}


def of_class(model: nn.Module, name: str) -> dict[str, nn.Module]:
    """The modules of `model` whose class is called `name`, by full name."""
    return {path: module for path, module in model.named_modules() if type(module).__name__ == name}


def shake(model: nn.Module, size: float = 0.1) -> None:
    """Move all trainable weights, so that nothing rests on a start at zero."""
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(size * torch.randn_like(parameter))
