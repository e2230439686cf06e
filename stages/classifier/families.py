"""Where attention, feed-forward block and head are in each supported family of encoders: one row per family."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stages.project.errors import UserError
from stages.project.files import read_json

UNBOUNDED = 1_000_000  # tokens, more than any text has: for a family without a limit of its own


def _every_position(config: Any) -> int:
    """Positions are counted from 0, so every row of the position table is used; ModernBERT has angles instead."""
    return config.max_position_embeddings or UNBOUNDED


def _after_the_padding(config: Any) -> int:
    """Positions are counted from pad_token_id + 1: the rows before that, and padding's own, are not used by texts."""
    return _every_position(config) - config.pad_token_id - 1


def _after_row_1(config: Any) -> int:
    """As `_after_the_padding`, but the model's code has padding at 1 whatever the configuration says."""
    return _every_position(config) - 2


def _by_distance(config: Any) -> int:
    """Without a position table there are only distances, and all those above a bound share one row."""
    return _every_position(config) if config.position_biased_input or not config.relative_attention else UNBOUNDED


@dataclass(frozen=True)
class Family:
    """Names inside a `...ForSequenceClassification` model of one family, and what is particular to it.

    Attributes:
        attention: regular expression of the full names of the query, key, value and output projections.
        feed_forward: regular expression of the full names of the modules that return a feed-forward block's output
            after its dropout, if there is one, and before the residual sum; there is exactly one per block.
        attention_output: the same for attention's output.
        feed_forward_input: regular expression of the full names of the modules that take a feed-forward block's input; one per
            block.
        feed_forward_projections: regular expression of the full names of a feed-forward block's linear layers.
        head: names of the modules outside the encoder, which every method trains. Whatever the
            pre-trained weights lack of them is newly initialized: all of it, except ModernBERT's `head` where the weights are
            those of a masked language model.
        last_block: regular expression of the full names of the modules, one per layer, whose inputs are attention's output
            and the residual; None if the family has none, or if its head may read more than the first token.
        longest_input: the most tokens that a model of a given configuration takes.
        gradient_checkpointing: whether the library can recompute this family's layers in the backward pass instead of keeping
            their activations.

    The expressions must match the full name. They are anchored at the layer's number, since the same words occur
    elsewhere: `output.dense` alone names an attention projection and a feed-forward projection of BERT.
    """

    attention: str
    feed_forward: str
    attention_output: str
    feed_forward_input: str
    feed_forward_projections: str
    head: tuple[str, ...]
    last_block: str | None = None
    longest_input: Callable[[Any], int] = _every_position
    gradient_checkpointing: bool = True

    def projections(self, target: str) -> str:
        """Return a regular expression of the full names of the linear layers of `target`: attention, feed_forward or all."""
        both = f"({self.attention})|({self.feed_forward_projections})"
        return {"attention": self.attention, "feed_forward": self.feed_forward_projections, "all": both}[target]


_LAYER = r".*\.layer\.\d+\."
_ALBERT_LAYER = r".*\.albert_layer_groups\.\d+\.albert_layers\.\d+\."
_BERT_FEED_FORWARD = _LAYER + r"(intermediate|output)\.dense"
_BERT = Family(
    attention=_LAYER + r"attention\.(self\.(query|key|value)|output\.dense)",
    feed_forward=_LAYER + r"output\.dropout",
    attention_output=_LAYER + r"attention\.output\.dropout",
    feed_forward_input=_LAYER + r"intermediate\.dense",
    feed_forward_projections=_BERT_FEED_FORWARD,
    head=("classifier",),  # BERT's and ALBERT's pooler belongs to the pre-trained encoder
    last_block=_LAYER + r"attention\.output",
)

FAMILIES = {
    "bert": _BERT,
    "electra": _BERT,
    "roberta": replace(_BERT, longest_input=_after_the_padding),
    "xlm-roberta": replace(_BERT, longest_input=_after_the_padding),
    "distilbert": Family(
        attention=_LAYER + r"attention\.(q_lin|k_lin|v_lin|out_lin)",
        feed_forward=_LAYER + r"ffn\.dropout",
        attention_output=_LAYER + r"attention\.out_lin",
        feed_forward_input=_LAYER + r"ffn\.lin1",
        feed_forward_projections=_LAYER + r"ffn\.(lin1|lin2)",
        head=("pre_classifier", "classifier"),
    ),
    # Also v3. Published models have share_att_key: query_proj and key_proj project texts and distances, and so does LoRA on
    # them. A model without it has pos_query_proj and pos_key_proj for the distances; they get LoRA too, so that the same
    # function of the input is adapted in both.
    "deberta-v2": Family(
        attention=_LAYER + r"attention\.(self\.((pos_)?(query|key)_proj|value_proj)|output\.dense)",
        feed_forward=_LAYER + r"output\.dropout",
        attention_output=_LAYER + r"attention\.output\.dropout",
        feed_forward_input=_LAYER + r"intermediate\.dense",
        feed_forward_projections=_BERT_FEED_FORWARD,
        head=("pooler", "classifier"),  # not BERT's pooler: it is outside the encoder, and published weights lack it
        last_block=_LAYER + r"attention\.output",
        longest_input=_by_distance,
    ),
    "mpnet": Family(
        attention=_LAYER + r"attention\.attn\.(q|k|v|o)",
        feed_forward=_LAYER + r"output\.dropout",
        attention_output=_LAYER + r"attention\.dropout",
        feed_forward_input=_LAYER + r"intermediate\.dense",
        feed_forward_projections=_BERT_FEED_FORWARD,
        head=("classifier",),
        longest_input=_after_row_1,
        gradient_checkpointing=False,
    ),
    # One group of layers runs several times: LoRA and the adapter are part of it and shared like all its weights. No layer
    # runs only as the last one, so none can be cut to the first token.
    "albert": Family(
        attention=_ALBERT_LAYER + r"attention\.(query|key|value|dense)",
        feed_forward=_ALBERT_LAYER + r"ffn_output",
        attention_output=_ALBERT_LAYER + r"attention\.output_dropout",
        feed_forward_input=_ALBERT_LAYER + r"ffn",
        feed_forward_projections=_ALBERT_LAYER + r"(ffn|ffn_output)",
        head=("classifier",),
        gradient_checkpointing=False,
    ),
    # Normalized before the block, not after the sum: with the adapter, y = x + h + up(f(down(h))). The block's input, which a
    # parallel adapter reads, is the normalized one. The first projections are fused: Wqkv makes query, key and value (one LoRA
    # for the three), Wi the two halves of a gated unit. The head reads the mean of all tokens if the configuration says so.
    "modernbert": Family(
        attention=r".*\.layers\.\d+\.attn\.(Wqkv|Wo)",
        feed_forward=r".*\.layers\.\d+\.mlp\.Wo",
        attention_output=r".*\.layers\.\d+\.attn\.out_drop",
        feed_forward_input=r".*\.layers\.\d+\.mlp\.Wi",
        feed_forward_projections=r".*\.layers\.\d+\.mlp\.(Wi|Wo)",
        head=("head", "classifier"),
    ),
}


def head_names(model: Any) -> tuple[str, ...]:
    """Return the names of the head's modules in `model`, which may be wrapped by PEFT.

    These are its family's, and the encoder's pooler where the encoder was saved without one (`load_classifier` notes that):
    models pre-trained only on masked words have none, and a newly initialized one must be trained and saved like the classifier.
    """
    pooler = getattr(model, "new_pooler", None)
    return (*family_of(model.config.model_type).head, *([pooler] if pooler else []))


def modules_to_save(model: Any) -> list[str]:
    """Return the head as PEFT's `modules_to_save`, without the names that PEFT adds by itself for SEQ_CLS."""
    return [name for name in head_names(model) if name not in ("classifier", "score")]


def family_of(model_type: str, origin: str = "") -> Family:
    """Return the row of `model_type` (a configuration's `model_type`).

    Args:
        origin: how the message begins, such as "models/base: ".

    Raises:
        UserError: the family is not supported; the message lists those that are.
    """
    if model_type not in FAMILIES:
        raise UserError(f"{origin}a model of family {model_type!r}; supported are: {', '.join(sorted(FAMILIES))}")
    return FAMILIES[model_type]


def check_family(folder: Path, origin: str) -> None:
    """Check that config.json in `folder` names a family of encoders that every method can train.

    Args:
        origin: what messages call the folder.

    Raises:
        UserError: there is no such file, it is damaged, or the family is not supported.
    """
    try:
        model_type = read_json(folder / "config.json")["model_type"]
        family_of(model_type, f"{origin} is ")
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise UserError(f"{origin}/config.json names no model_type ({reason}); save the model again") from None
