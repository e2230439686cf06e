"""python -m bench.arms ARM

One arm of the comparison, with this project's packages: what a plain `transformers.Trainer` does and what the stages do.
Started by `python -m bench`, which says when to work.
"""

import sys
import tempfile
from collections.abc import Callable

import numpy as np
import torch
from transformers import Trainer, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from bench.protocol import TRAINED_ROWS, serve
from stages.classifier.faster.apply import accelerate_training
from stages.classifier.inference import predict_logits
from stages.classifier.splits import column, load_labels, load_split, load_tokenizer, make_collator
from stages.memory.batching import Batching
from stages.methods.method import build
from stages.methods.registry import method_of
from stages.project.parameters import load_params
from stages.project.schema import METHODS, Params
from stages.training.arguments import training_arguments
from stages.training.trainer import FineTuningTrainer


def params_of_one_epoch(awp: bool) -> Params:
    """The project's parameters for one epoch."""
    content = load_params().model_dump()
    content["train"] |= {"epochs": 1}
    content["awp"]["enabled"] = awp
    content["mixout"]["enabled"] = False
    return Params.model_validate(content)


def rows_to_train():
    """The same texts for every arm, of the lengths that the training set has."""
    chosen = np.random.default_rng(0).permutation(len(load_split("train")))[:TRAINED_ROWS]
    return load_split("train").select(chosen)


def plain_model(method: str, params: Params) -> torch.nn.Module:
    """The method's model without what this project does to make it faster."""
    content = params.model_dump()
    content["train"]["acceleration"] = False
    return build(method_of(method), Params.model_validate(content), load_labels())


def plain_arguments(folder: str, params: Params) -> TrainingArguments:
    return TrainingArguments(
        output_dir=folder,
        num_train_epochs=1,
        per_device_train_batch_size=params.train.batch_size,
        per_device_eval_batch_size=params.train.batch_size,
        train_sampling_strategy="group_by_length",
        learning_rate=1e-5,
        save_strategy="no",
        report_to="none",
        dataloader_pin_memory=False,
        disable_tqdm=True,
    )


def plain_training(method: str) -> Callable[[], int]:
    """The usual recipe: batches of 32 grouped by length, padded to their longest text, AdamW."""
    params, rows = params_of_one_epoch(awp=False), rows_to_train()
    model, collator = plain_model(method, params), make_collator(load_tokenizer())

    def work() -> int:
        with tempfile.TemporaryDirectory() as folder:
            trainer = Trainer(model, plain_arguments(folder, params), train_dataset=rows, data_collator=collator)
            trainer.remove_callback(PrinterCallback)
            trainer.train()
        return len(rows)

    return work


def our_training(method: str, awp: bool = False) -> Callable[[], int]:
    """The stages' training without its validation."""
    params, rows = params_of_one_epoch(awp), rows_to_train()
    model, collator = build(method_of(method), params, load_labels()), make_collator(load_tokenizer())
    accelerate_training(model)

    def work() -> int:
        with tempfile.TemporaryDirectory() as folder:
            arguments = training_arguments(params, Batching(16, 2), 1e-5, folder)
            arguments.eval_strategy = "no"
            trainer = FineTuningTrainer(model, arguments, train_dataset=rows, data_collator=collator, awp=params.awp)
            trainer.remove_callback(PrinterCallback)
            trainer.train()
        return len(rows)

    return work


def plain_prediction(batch_size: int) -> Callable[[], int]:
    """`Trainer.predict` on the test set in the file's order, as it does by default."""
    params, rows = load_params(), load_split("test")
    model, folder = plain_model("full", params), tempfile.mkdtemp()
    arguments = plain_arguments(folder, params)
    arguments.per_device_eval_batch_size = batch_size
    arguments.train_sampling_strategy = "random"  # the strategy by length would also order what is predicted
    trainer = Trainer(model, arguments, data_collator=make_collator(load_tokenizer()))
    return lambda: len(trainer.predict(rows).predictions)


def our_prediction() -> Callable[[], int]:
    params, rows = load_params(), load_split("test")
    model, collator = build(method_of("full"), params, load_labels()), make_collator(load_tokenizer())
    return lambda: len(predict_logits(model, rows, collator, params.evaluate.batch_size))


def gflop_of_training() -> Callable[[], float]:
    """Full training, counted in GFLOP as 6 x weights of the encoder's layers x tokens, padding left out."""
    work, tokens = our_training("full"), int(column(rows_to_train(), "length").sum())
    layers = build(method_of("full"), load_params(), load_labels()).base_model.encoder
    weights = sum(parameter.numel() for parameter in layers.parameters() if parameter.dim() > 1)

    def count() -> float:
        work()
        return 6e-9 * weights * tokens

    return count


def matrix_products() -> Callable[[], float]:
    """Products of the shapes that a batch of 32 median texts has in this encoder, in GFLOP."""
    config = build(method_of("full"), load_params(), load_labels()).config
    tokens = 32 * int(np.median(column(load_split("train"), "length")))
    width, inner = config.hidden_size, config.intermediate_size
    layers = [(torch.randn(tokens, n), torch.randn(m, n)) for n, m in ((width, width), (width, inner), (inner, width))]

    def work() -> float:
        for x, weight in layers * 100:
            torch.nn.functional.linear(x, weight)
        return 100 * sum(2e-9 * tokens * weight.numel() for _, weight in layers)

    return work


ARMS: dict[str, Callable[[], Callable[[], float]]] = {
    **{f"plain {method}": lambda method=method: plain_training(method) for method in METHODS},
    **{f"ours {method}": lambda method=method: our_training(method) for method in METHODS},
    **{f"ours {method} AWP": lambda method=method: our_training(method, awp=True) for method in METHODS},
    "plain predict 32": lambda: plain_prediction(32),
    "plain predict 128": lambda: plain_prediction(128),
    "ours predict": our_prediction,
    "ours full GFLOP": gflop_of_training,
    "matrix products": matrix_products,
}

if __name__ == "__main__":
    torch.set_num_threads(torch.get_num_threads())  # no smaller number, call by call
    serve(ARMS[sys.argv[1]]())
