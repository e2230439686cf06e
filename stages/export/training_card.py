"""The model card of a trained method: what it was made from and how, how well it does, and what it is not for.

The bytes depend on the arguments alone: no date, no path of the machine, nothing measured with a clock.
"""

from collections.abc import Mapping, Sequence

from stages.classifier.counting import ParameterCounts
from stages.export.terms import BaseFacts, base_name, data_name, data_source, licence
from stages.export.usage import fenced, peft_code, plain_code
from stages.presentation.markdown import document, plain, table
from stages.project.schema import Params

TITLES = {"full": "Full fine-tuning", "lora": "LoRA", "adapter": "Bottleneck adapter"}
SCORES = {"accuracy": "accuracy", "precision": "macro precision", "recall": "macro recall", "f1": "macro F1"}
DATA, SCORED, LOADING = "Data", "Scores", "How to load it"
AS_TRAINED = "Training read its texts in Unicode form NFC, with single spaces between words and none around; bring yours into it."


def model_card(
    method: str,
    params: Params,
    labels: Sequence[str],
    counts: ParameterCounts,
    best_epoch: int,
    validation: Mapping[str, float],
    rows: Mapping[str, Sequence[int]],
    base: BaseFacts,
) -> str:
    """Return README.md of models/{method}: YAML front matter as the Hugging Face Hub reads it, and the card in Markdown.

    Args:
        labels: the K class names in order of index.
        best_epoch: the epoch whose weights were kept, counted from 1.
        validation: accuracy, precision, recall and f1 of that epoch on validation (scalars in 0..1).
        rows: by split ("train", "validation"), how many rows each class has, shape (K,).
        base: what is known of the base model (`stages.export.terms.read_base_facts`).
    """
    shown = ", ".join(map(plain, labels))
    title = f"{TITLES[method]} of {plain(base_name(params))}: {shown}"
    sections = {
        "": f"A classifier of texts into {len(labels)} classes ({shown}), trained by the stage `train_{method}`.",
        DATA: f"{data_source(params)}\n\n{rows_table(labels, rows)}",
        "Training": training_table(method, params, counts, best_epoch),
        SCORED: score_table("validation", validation) + "\n\nThe epoch was chosen by this macro F1, so it flatters a little.",
        LOADING: f"{loading(method)}\n\n{AS_TRAINED}",
        "What it is not for": limits(params),
        "Licence": licence(params, base),
    }
    return document(front(method, params, base, validation), title, sections)


def front(method: str, params: Params, base: BaseFacts, validation: Mapping[str, float]) -> dict:
    """The front matter; `license` is "unknown" where nobody has said, which the Hub knows as a value."""
    content = {
        "library_name": "transformers" if method == "full" else "peft",
        "base_model": base_name(params),
        "base_model_relation": "finetune" if method == "full" else "adapter",
        "pipeline_tag": "text-classification",
        "license": base.license or "unknown",
        **dict(base.license_extra),
    }
    if base.language:
        content["language"] = base.language
    content["metrics"] = list(SCORES)
    return content | {"model-index": model_index(method, data_name(params), "validation", validation)}


def model_index(name: str, data: str, split: str, scores: Mapping[str, float]) -> list[dict]:
    """Scores on `split` of the data set `data` in the form in which the Hub shows them."""
    metrics = [{"type": key, "name": title, "value": round(scores[key], 6)} for key, title in SCORES.items()]
    task = {"type": "text-classification", "name": "Text classification"}
    dataset = {"type": data, "name": data, "split": split}
    return [{"name": name, "results": [{"task": task, "dataset": dataset, "metrics": metrics}]}]


def rows_table(labels: Sequence[str], rows: Mapping[str, Sequence[int]]) -> str:
    """Rows by split, in all and of each class with its share."""
    lines = []
    for split, numbers in rows.items():
        total = sum(numbers)
        lines.append([split, f"{total:,}", *(f"{n:,} ({100 * n / max(total, 1):.1f} %)" for n in numbers)])
    return table(["split", "rows", *map(plain, labels)], lines)


def training_table(method: str, params: Params, counts: ParameterCounts, best_epoch: int) -> str:
    """What determined the training, a line each."""
    train, awp, mixout = params.train, params.awp, params.mixout
    own = {
        "full": "every weight of encoder and head is trained",
        "lora": f"rank {params.peft.rank}, alpha {params.peft.alpha:g}, dropout {params.peft.dropout:g}, "
        "on all attention projections",
        "adapter": f"bottleneck {params.peft.bottleneck}, GELU, one in each feed-forward block",
    }
    lines = {
        "method": f"{TITLES[method]}: {own[method]}",
        "trained parameters": f"{counts.trainable_body:,} in the encoder, {counts.trainable_head:,} in the head: "
        f"{counts.trainable:,} of {counts.total:,} ({counts.trainable_percent:.2f} %)",
        "texts are cut to": f"{params.data.max_length} tokens",
        "learning rate": f"{getattr(train.learning_rate, method):g}, warm-up {100 * train.warmup_fraction:g} % of the steps",
        "batch": f"{train.batch_size} texts an optimizer step",
        "epochs": f"at most {train.epochs}, stopped after {train.patience} without a better validation F1; kept: {best_epoch}",
        "weight decay, largest gradient norm": f"{train.weight_decay:g}, {train.max_grad_norm:g}",
        "class weights": train.class_weights,
        "AWP": f"epsilon {awp.epsilon:g}, from {awp.window_start:g} to {awp.window_end:g} of each epoch" if awp.enabled else "no",
        "mixout": f"p {mixout.p:g}, on the head" if mixout.enabled else "no",
        "seed": str(params.seed),
    }
    return table(["what", "value"], lines.items())


def score_table(split: str, scores: Mapping[str, float]) -> str:
    return table([f"on {split}", "value"], [[name, f"{scores[key]:.4f}"] for key, name in SCORES.items()])


def loading(method: str) -> str:
    """How a folder that a train stage wrote is loaded, seen from the project's folder."""
    if method == "full":
        return fenced(plain_code("models/full"))
    if method == "lora":
        return "With PEFT, and the base model beside it:\n\n" + fenced(peft_code("models/lora", "models/base"))
    code = peft_code("models/adapter", "models/base", "import stages.methods.bottleneck  # makes PEFT know the adapter\n")
    return (
        "With PEFT, the base model beside it and the class of the adapter, which PEFT does not have: in the project's folder, or "
        "anywhere after `make export`, which puts the class into the folder.\n\n" + fenced(code)
    )


def limits(params: Params) -> str:
    """Two lines: where it does not hold, and what its numbers are not."""
    return (
        "- It knows texts like those that it was trained on. Of other kinds, topics or languages nothing is known unless it was "
        "measured, and every text, whatever it says, gets one of these classes.\n"
        "- Its probabilities are no measured frequencies (they were not calibrated), it reads only the first "
        f"{params.data.max_length} tokens, and it must not decide anything about people without one of them looking."
    )
