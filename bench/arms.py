"""python -m bench.arms ARM

One arm of the comparison that runs with this project's packages: a plain `transformers.Trainer`, or the stages. `python -m bench`
starts it and tells it when to work.
"""

import sys
import tempfile
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from datasets import Dataset
from transformers import PreTrainedModel, Trainer, TrainingArguments
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
    """Return the project's parameters for one epoch, without mixout."""
    content = load_params().model_dump()
    content["train"] |= {"epochs": 1}
    content["awp"]["enabled"] = awp
    content["mixout"]["enabled"] = False
    return Params.model_validate(content)


def rows_to_train() -> Dataset:
    """Return a random sample of the training set, the same for every arm."""
    chosen = np.random.default_rng(0).permutation(len(load_split("train")))[:TRAINED_ROWS]
    return load_split("train").select(chosen)


def plain_model(method: str, params: Params) -> torch.nn.Module:
    """Return the method's model without this project's acceleration."""
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
    """Train as usual: batches of 32 grouped by length, padded to their longest text, AdamW."""
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
    """Train as the stages do, without validation."""
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
    """Predict the test set with `Trainer.predict`, by default in the order of the file."""
    params, rows = load_params(), load_split("test")
    model, folder = plain_model("full", params), tempfile.mkdtemp()
    arguments = plain_arguments(folder, params)
    arguments.per_device_eval_batch_size = batch_size
    arguments.train_sampling_strategy = "random"  # grouping by length would also reorder the rows of the prediction
    trainer = Trainer(model, arguments, data_collator=make_collator(load_tokenizer()))
    return lambda: len(trainer.predict(rows).predictions)


def our_prediction() -> Callable[[], int]:
    params, rows = load_params(), load_split("test")
    model, collator = build(method_of("full"), params, load_labels()), make_collator(load_tokenizer())
    return lambda: len(predict_logits(model, rows, collator, params.evaluate.batch_size))


def gflop_of_training() -> Callable[[], float]:
    """Train fully; the unit is GFLOP, counted as 6 x weights of the encoder's layers x tokens without padding."""
    work, tokens = our_training("full"), int(column(rows_to_train(), "length").sum())
    model = build(method_of("full"), load_params(), load_labels())
    assert isinstance(model, PreTrainedModel)
    layers = model.base_model.get_submodule("encoder")
    weights = sum(parameter.numel() for parameter in layers.parameters() if parameter.dim() > 1)

    def count() -> float:
        work()
        return 6e-9 * weights * tokens

    return count


def matrix_products() -> Callable[[], float]:
    """Multiply matrices in the shapes that a batch of 32 texts of median length has in this encoder; the unit is GFLOP."""
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
    **{f"plain {method}": partial(plain_training, method) for method in METHODS},
    **{f"ours {method}": partial(our_training, method) for method in METHODS},
    **{f"ours {method} AWP": partial(our_training, method, awp=True) for method in METHODS},
    "plain predict 32": partial(plain_prediction, 32),
    "plain predict 128": partial(plain_prediction, 128),
    "ours predict": our_prediction,
    "ours full GFLOP": gflop_of_training,
    "matrix products": matrix_products,
}

if __name__ == "__main__":
    torch.set_num_threads(torch.get_num_threads())  # so that no call uses fewer
    serve(ARMS[sys.argv[1]]())
