"""Where attention, feed-forward block and head stand in each supported family of encoders: one row a family."""

from dataclasses import dataclass

from stages.errors import UserError


@dataclass(frozen=True)
class Family:
    """Names inside a `...ForSequenceClassification` model of one family.

    Attributes:
        attention: regular expression of the full names of the query, key, value and output projections.
        feed_forward: regular expression of the full names of the modules that return a feed-forward block's output
            after its dropout and before the residual sum; there is exactly one per layer.
        head: names of the modules that the pre-trained encoder lacks and that every method trains.
        last_block: regular expression of the full names of the modules, one per layer, that take what attention returned
            and the residual; None if the family has none, or if its head reads more than the first token.

    The expressions are matched against a whole name. They are anchored at `layer.N`, since the same words stand
    in other places: `output.dense` alone names an attention projection and a feed-forward projection of BERT.
    """

    attention: str
    feed_forward: str
    head: tuple[str, ...]
    last_block: str | None = None

    @property
    def modules_to_save(self) -> list[str]:
        """The head as PEFT's `modules_to_save`, less the names that PEFT adds to it by itself for SEQ_CLS."""
        return [name for name in self.head if name not in ("classifier", "score")]


_BERT_LAYER = r".*\.layer\.\d+\."
_BERT = Family(
    attention=_BERT_LAYER + r"attention\.(self\.(query|key|value)|output\.dense)",
    feed_forward=_BERT_LAYER + r"output\.dropout",
    head=("classifier",),
    last_block=_BERT_LAYER + r"attention\.output",
)

FAMILIES = {
    "bert": _BERT,
    "roberta": _BERT,
    "xlm-roberta": _BERT,
    "electra": _BERT,
    "distilbert": Family(
        attention=r".*\.layer\.\d+\.attention\.(q_lin|k_lin|v_lin|out_lin)",
        feed_forward=r".*\.layer\.\d+\.ffn\.dropout",
        head=("pre_classifier", "classifier"),
    ),
}


def family_of(model_type: str) -> Family:
    """Return the row of `model_type` (a configuration's `model_type`).

    Raises:
        UserError: the family is not supported; the message lists those that are.
    """
    if model_type not in FAMILIES:
        raise UserError(f"family {model_type!r} is not supported; supported are: {', '.join(sorted(FAMILIES))}")
    return FAMILIES[model_type]
