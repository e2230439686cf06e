"""The one reader of an encoder's config.json."""

from collections.abc import Sequence
from pathlib import Path

from huggingface_hub.errors import StrictDataclassError
from transformers import AutoConfig, PreTrainedConfig

from stages.classifier.families import check_family
from stages.project.errors import UserError

# What would make another model of the same family's name; each with what it means. The library takes or ignores them in silence.
OTHER_MODELS = {
    "is_decoder": "each token sees only those before it, and a classifier reads the first",
    "add_cross_attention": "it reads a second text through layers that no classifier has",
    "quantization_config": "its weights are not numbers that can be trained",
    "pruned_heads": "transformers has no longer code for attention without some of its heads",
    "fusion_config": "it changes the modules that LoRA and the adapter look for",
    "transformers_weights": "it names a weight file other than the one that was checked",
}
RELATIVE_POSITIONS = ("bert", "electra", "roberta", "xlm-roberta", "albert")  # the library has no longer code for these variants
# Settings that change how a model computes or what it returns, but not the function that it is; None: the library's choice
NEUTRAL = {"output_hidden_states": False, "output_attentions": False, "return_dict": True, "chunk_size_feed_forward": 0}
CODE = "auto_map"  # classes in Python files that come with a model; never run


def read_config(folder: Path) -> PreTrainedConfig:
    """Return the configuration saved in `folder`; code that it may name is never run.

    How to compute attention, and what else to return beside the logits, is decided here and not by the file.

    Raises:
        UserError: it is missing or damaged, its family is not supported, or it is a variant that cannot be a classifier.
    """
    check_family(folder, str(folder))
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        # an implementation may be the name of a repository with code
        config._attn_implementation = None
        for name, value in NEUTRAL.items():
            if getattr(config, name, value) != value:
                setattr(config, name, value)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, StrictDataclassError) as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise UserError(f"{folder}: transformers cannot read the model configuration in config.json ({reason})") from None
    for key, meaning in OTHER_MODELS.items():
        if found := getattr(config, key, None):
            shown = f"{key} {found!r}" if isinstance(found, (bool, int, str)) else key
            raise UserError(f"{folder}/config.json: has {shown}: {meaning}; give an encoder without it")
    positions = getattr(config, "position_embedding_type", None) or "absolute"
    if config.model_type in RELATIVE_POSITIONS and positions != "absolute":
        raise UserError(
            f"{folder}/config.json: position_embedding_type is {positions!r}; transformers computes only 'absolute', with other "
            "results; give an encoder that has it"
        )
    return config


def classifier_config(folder: Path, labels: Sequence[str]) -> PreTrainedConfig:
    """Return the configuration of the encoder in `folder` as that of a classifier of `labels`.

    Whatever task the encoder had before, its classes, kind of task and own code are not kept.

    Raises:
        UserError: as `read_config`.
    """
    config = read_config(folder)
    config.num_labels = len(labels)
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: index for index, label in enumerate(labels)}
    if config.problem_type is not None:  # None is single-label too, for two classes and more
        config.problem_type = "single_label_classification"
    if getattr(config, "gradient_checkpointing", False):  # old files: the library would switch it on, whatever we ask for
        config.gradient_checkpointing = False
    if hasattr(config, CODE):
        delattr(config, CODE)
    return config
