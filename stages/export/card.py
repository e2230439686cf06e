"""The model card of an exported folder: what the model was made from and how, how well it does, and what it is not for.

The bytes depend on the facts alone: no date, no path of the machine, nothing measured with a clock.
"""

from huggingface_hub import EvalResult, ModelCard, ModelCardData
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # documented; the package has no __all__

from stages.classifier.low_precision import LOW
from stages.export.facts import SCORES, CardFacts
from stages.export.peft_setting import adapter_setting, lora_setting
from stages.export.scores import scores, warning
from stages.export.terms import base_name, data_name, data_source, language, licence
from stages.export.usage import loading_code
from stages.presentation.markdown import plain, table
from stages.project.schema import AwpParams, Params

MARK = "exported_from"  # the key of the front matter by which an export recognizes a folder that it may replace
MODULE = "bottleneck_adapter"
LONGEST_LIST = 100  # characters; longer lists of classes are a table only
TYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
TITLES = {"full": "Full fine-tuning of", "lora": "LoRA fine-tuning of", "adapter": "Bottleneck adapter for"}
FORMS = {
    "full": "This folder loads with transformers alone.",
    "lora": "LoRA's update is merged into the weights, so this folder loads with transformers alone and is "
    "as fast as the base model.",
    "adapter": "A nonlinearity is inside the adapter, so no weight of the base model can absorb it: transformers alone "
    f"cannot load this folder. It needs PEFT and the adapter's class, which is here as `{MODULE}.py` (code that you run: "
    "read it first, it is short); the base model's weights are in `base/`.",
}
AS_TRAINED = (
    "Training read its texts in Unicode form NFC, with single spaces between words and none around; prepare yours the same way."
)


def model_card(facts: CardFacts) -> str:
    """Return README.md of an exported folder: front matter as the Hugging Face Hub reads it, and the card in Markdown."""
    names = ", ".join(map(plain, facts.labels))
    many = len(names) > LONGEST_LIST
    shown = f"{len(facts.labels)} classes" if many else names
    of = f"{len(facts.labels)} classes (listed under Data)" if many else f"{len(facts.labels)} classes ({shown})"
    sections = {
        "Data": f"{data_source(facts.params)}\n\n{rows_table(facts)}",
        "Training": training_table(facts),
        "Scores": scores(facts),
        "How to load it": "From the folder that contains this one:\n\n"
        f"```python\n{loading_code(facts.method, MODULE)}```\n\n{AS_TRAINED}",
        "What it is not for": limits(facts.params),
        "Licence": licence(facts.params, facts.base),
    }
    text = [
        f"# {TITLES[facts.method]} {plain(base_name(facts.params))}: {shown}",
        f"A classifier of texts into {of}, trained by the stage `train_{facts.method}`. {FORMS[facts.method]}",
        *warning(facts.test),
        *(f"## {name}\n\n{content}" for name, content in sections.items()),
    ]
    front = card_data(facts).to_yaml(line_break="\n")
    return str(ModelCard(f"---\n{front}\n---\n\n" + "\n\n".join(text) + "\n"))


def card_data(facts: CardFacts) -> ModelCardData:
    """The front matter; `license` is "unknown" where nobody has said, a value that the Hub knows.

    `base_model` is missing if its folder's name could not be a repository's, which the Hub would refuse.
    """
    merged = facts.method != "adapter"
    base, extra = base_name(facts.params), dict(facts.base.license_extra)
    named = is_repo_name(base)
    data = ModelCardData(
        library_name="transformers" if merged else "peft",
        base_model=base if named else None,
        pipeline_tag="text-classification",
        license=facts.base.license or "unknown",
        license_name=extra.get("license_name"),
        license_link=extra.get("license_link"),
        language=language(facts.params),
        metrics=list(SCORES),
        model_name=facts.method,
        eval_results=eval_results(facts),
    )
    if named:
        data["base_model_relation"] = "finetune" if merged else "adapter"
    data[MARK] = f"models/{facts.method}"
    return data


def eval_results(facts: CardFacts) -> list[EvalResult]:
    """Scores in the form in which the Hub shows them: on test if these weights were evaluated, else on validation."""
    split, values = ("test", facts.test.metrics) if facts.test else ("validation", facts.validation)
    data = data_name(facts.params)
    return [
        EvalResult(
            task_type="text-classification",
            task_name="Text classification",
            dataset_type=data,
            dataset_name=data,
            dataset_split=split,
            metric_type=key,
            metric_name=title,
            metric_value=round(values[key], 6),
        )
        for key, title in SCORES.items()
    ]


def is_repo_name(name: str) -> bool:
    """Whether the Hub allows `name` for a repository."""
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return True


def rows_table(facts: CardFacts) -> str:
    """Rows of each class by split with its share, and F1 on the test set if it is known; a line per class."""
    f1 = facts.test.by_class if facts.test else {}
    if not facts.rows and not f1:
        return f"Its classes: {', '.join(map(plain, facts.labels))}. How many rows each has is not recorded."
    totals = {split: sum(numbers) for split, numbers in facts.rows.items()}
    lines = [["all", *(f"{total:,}" for total in totals.values()), *[""] * bool(f1)]]
    for k, label in enumerate(facts.labels):
        rows = [f"{numbers[k]:,} ({100 * numbers[k] / max(totals[split], 1):.1f} %)" for split, numbers in facts.rows.items()]
        lines.append([plain(label), *rows, *([f"{f1[label]:.4f}"] if f1 else [])])
    return table(["class", *(f"rows in {split}" for split in totals), *(["F1 on test"] if f1 else [])], lines)


def awp_in_words(awp: AwpParams) -> str:
    """How far which weights moved, and when."""
    size = f"epsilon {awp.epsilon:g}" if awp.box is None else f"step {awp.step:g}, each element within {awp.box:g} of its size"
    weights = ", frozen weights too" if awp.target == "all" else ""
    embeddings = {"tensor": "", "rows": ", embeddings row by row", "exclude": ", embeddings not"}[awp.embeddings]
    return f"{size}{weights}{embeddings}, from {awp.window_start:g} to {awp.window_end:g} of each epoch"


def training_table(facts: CardFacts) -> str:
    """What determined the training, a line each."""
    params, training = facts.params, facts.training
    train, awp, mixout = params.train, params.awp, params.mixout
    own = {
        "full": "full fine-tuning: every weight of encoder and head is trained",
        "lora": lora_setting(params.peft),
        "adapter": adapter_setting(params.peft),
    }
    processes = f" on each of {training['processes']} processes" if training["processes"] > 1 else ""
    counts = (
        f"{training['trainable_body_parameters']:,} in the encoder, {training['trainable_head_parameters']:,} in the head: "
        f"{training['trainable_parameters']:,} of {training['total_parameters']:,} ({training['trainable_percent']:.2f} %)"
    )
    lines = {
        "method": own[facts.method],
        "trained parameters": counts,
        "texts are cut to": f"{params.data.max_length} tokens",
        "learning rate": f"{training['learning_rate']:g}, warm-up {100 * train.warmup_fraction:g} % of the steps",
        "batch": f"{train.batch_size} texts per optimizer step, in micro-batches of {training['micro_batch_size']}{processes}",
        "epochs": f"at most {train.epochs}, fewer after {train.patience} without a better validation macro F1; "
        f"trained: {training['epochs_trained']}, kept: {training['best_epoch']}",
        "weight decay, largest gradient norm": f"{train.weight_decay:g}, {train.max_grad_norm:g}",
        "class weights": train.class_weights,
        "precision": trained_precision(facts),
        "AWP": awp_in_words(awp) if awp.enabled else "no",
        "mixout": f"p {mixout.p:g}, on the head" if mixout.enabled else "no",
        "seed": str(params.seed),
    }
    return table(["what", "value"], lines.items())


def trained_precision(facts: CardFacts) -> str:
    """In which precision the forward pass of training was computed, and frozen weights were kept."""
    train = facts.params.train
    said = f"{TYPES[train.precision]} by autocast, trained weights in float32" if train.precision in LOW else "float32"
    if facts.method == "full" or train.frozen_dtype == "same":
        return said
    kept = TYPES.get(train.frozen_dtype, train.frozen_dtype)
    here = "merged here with their rounded values" if facts.method == "lora" else "base/ holds them as they were before"
    if train.frozen_dtype == "nf4":  # only its linear layers: embeddings and normalizations stay float32
        kept = "nf4 (4 bits, double quantization) where they are linear layers'"
    return f"{said}; frozen weights in {kept}, {here}"


def limits(params: Params) -> str:
    """Where it does not hold, and what its numbers are not."""
    return (
        "- It was trained on texts of one kind. How it does on other kinds, topics or languages is unknown unless it is listed "
        "under Scores, and every text, whatever it says, gets one of these classes.\n"
        f"- Its probabilities are not calibrated, and it reads only the first {params.data.max_length} tokens of a text.\n"
        "- Do not let it decide anything about people without a person reviewing the decision."
    )
