"""Train one method: load, build, regularize, train, keep the best epoch, save. Only the method differs between the stages."""

import tempfile
from collections.abc import Sequence

import numpy as np
import torch
from datasets import Dataset
from torch import nn
from transformers import EvalPrediction, PreTrainedConfig, PreTrainedTokenizerBase, TrainerCallback
from transformers.trainer_callback import PrinterCallback, ProgressCallback

from peft_extras.mixout import apply_mixout
from stages.classifier.counting import count_parameters, head_modules
from stages.classifier.faster.apply import accelerate_training
from stages.classifier.four_bit import check_four_bit, packed_layers, storage
from stages.classifier.low_precision import check_precision
from stages.classifier.scores import classification_scores
from stages.classifier.splits import column, load_labels, load_split, load_tokenizer, make_collator
from stages.memory.budget import choose_batching
from stages.memory.recompute import recompute_activations
from stages.methods.method import Method, Model, build
from stages.project.environment import settle_environment
from stages.project.machine import pick_device
from stages.project.parameters import load_params
from stages.project.processes import is_launched, is_main_process, is_node_leader, process_index
from stages.project.provenance import provenance
from stages.project.schema import Params
from stages.training.arguments import check_accelerator, training_arguments
from stages.training.arithmetic import Arithmetic
from stages.training.divergence import Divergence, explained
from stages.training.early_stopping import EarlyStopping
from stages.training.history import History, ProgressBar
from stages.training.nodes import ending_together, require_same_inputs
from stages.training.results import Run, write_results
from stages.training.resumption import Resumption
from stages.training.save_point import SavePoint, save_point_of
from stages.training.sharding import trained_weights, whole
from stages.training.sharding_options import is_sharded
from stages.training.shortage import telling_of_shortage
from stages.training.trainer import FineTuningTrainer, balanced_class_weights


def train(method: Method) -> None:
    """Train `method` (a module of stages.methods) and write its checkpoint, learning curve and training metrics."""
    params = load_params()
    labels, tokenizer = load_labels(), load_tokenizer()
    # recorded before training, which edits made while it runs do not affect
    record = provenance(f"train_{method.NAME}", params)
    point = save_point_of(method.NAME, record["inputs"])
    with ending_together(), telling_of_shortage(params):
        run = fit(method, params, labels, tokenizer, load_split("train"), point)
    if is_main_process():
        write_results(method.NAME, params, labels, tokenizer, run, record)
    if is_node_leader():
        point.remove()  # only now: if writing the results fails, the next start need not train again
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def fit(
    method: Method,
    params: Params,
    labels: list[str],
    tokenizer: PreTrainedTokenizerBase,
    rows: Dataset,
    point: SavePoint | None = None,
    *,
    validation: Dataset | None = None,
    callbacks: Sequence[TrainerCallback] = (),
) -> Run:
    """Train `method` on `rows` with its learning rate in `params`; resume from `point` if it holds a state of this training.

    Args:
        validation: by default the split of that name.
        callbacks: what else watches the training.

    Raises:
        UserError: this machine cannot compute in `train.precision`; a loss, a gradient or the logits on validation became
            infinite or undefined, and `point` is then empty.
    """
    settle_environment()  # a stage has done so already; experiments may not have
    check_precision(params.train.precision, "train.precision", pick_device())
    if method.NAME != "full":
        check_four_bit(params.train.frozen_dtype)
    model = build(method, params, labels)
    mixout_layers = apply_mixout(model, head_modules(model), params.mixout.p) if params.mixout.enabled else 0
    if params.train.acceleration:
        accelerate_training(model)
    if params.train.gradient_checkpointing:
        recompute_activations(model)
    counts = count_parameters(model)
    print(f"{method.NAME}: {counts}; mixout on {mixout_layers} layer(s) of the head", flush=True)
    if packed_layers(model):
        print(f"{method.NAME}: {storage(model)}", flush=True)
    if method.NAME == "full" and params.train.frozen_dtype != "same":
        print(f"full: train.frozen_dtype={params.train.frozen_dtype} has no effect: full fine-tuning freezes nothing", flush=True)

    learning_rate = getattr(params.train.learning_rate, method.NAME)
    history, stopping, arithmetic = History(), EarlyStopping(model, params.train.patience), Arithmetic(model)
    with tempfile.TemporaryDirectory() as scratch:
        trainer = make_trainer(params, model, tokenizer, learning_rate, rows, scratch, validation)
        for callback in (history, stopping, arithmetic, *callbacks):
            trainer.add_callback(callback)
        if point:
            require_same_inputs(point.inputs)
            trainer.make_resumable(Resumption(trainer, point, history, stopping))
        if process_index():
            # every process draws its own dropout and mixout masks; rank 0 draws those of a single process
            torch.manual_seed(params.seed + process_index())
        try:
            trainer.train_to_the_end()
        except Divergence as found:
            if point and is_node_leader():
                point.remove()
            raise explained(found, method.NAME, params) from None
    if trainer.overflows:
        print(f"{method.NAME}: {trainer.overflows} optimizer step(s) left out, as the scaled gradient of fp16 overflowed")
    if trainer.awp and not (trainer.awp.log.steps or trainer.awp.log.skipped):
        window = f"awp.window_start {params.awp.window_start:g} and awp.window_end {params.awp.window_end:g}"
        print(f"{method.NAME}: AWP never acted: no optimizer step of an epoch lies in its window, {window}", flush=True)
    arithmetic.stop()
    stopping.restore()
    if trainer.is_fsdp_enabled:
        trainer.model = arithmetic.model = gathered(trainer.model, method, params, labels)
        nn.Module.to(trainer.model, trainer.args.device)
    return Run(trainer, history, stopping, counts, mixout_layers, arithmetic)


@torch.no_grad()
def gathered(sharded: Model, method: Method, params: Params, labels: list[str]) -> Model:
    """The whole model, on rank 0, with the trained weights of the sharded one; the others take part in gathering them."""
    weights = {name: whole(weight.detach()) for name, weight in trained_weights(sharded)}
    model = build(method, params, labels)
    if is_main_process():
        for name, weight in trained_weights(model):
            weight.copy_(weights[name])
    return model


def make_trainer(
    params: Params,
    model: Model,
    tokenizer: PreTrainedTokenizerBase,
    learning_rate: float,
    rows: Dataset,
    scratch: str,
    validation: Dataset | None = None,
) -> FineTuningTrainer:
    """The Trainer with this project's validation data, metrics and AWP; early stopping is left to the caller."""
    config = model.config
    assert isinstance(config, PreTrainedConfig) and config.num_labels is not None
    num_classes = config.num_labels
    balanced = params.train.class_weights == "balanced"
    sharded = is_launched() and is_sharded(params)

    def compute_metrics(prediction: EvalPrediction) -> dict[str, float]:
        logits, labels = prediction.predictions, prediction.label_ids
        assert isinstance(logits, np.ndarray) and isinstance(labels, np.ndarray)
        if broken := int(np.sum(~np.isfinite(logits).all(axis=1))):
            what = f"{broken} of {len(logits)} validation texts have logits that are not finite"
            raise trainer.divergence(what, trainer.state.global_step)
        scores = classification_scores(labels, np.argmax(logits, axis=-1), num_classes)
        # with several processes, the Trainer's own loss counts rows twice that pad the last batch
        cross_entropy = nn.functional.cross_entropy(torch.from_numpy(logits).double(), torch.from_numpy(labels))
        return scores | {"cross_entropy": cross_entropy.item()}

    validation = load_split("validation") if validation is None else validation
    # longest first: the texts of a batch then have similar lengths; the metrics do not depend on the order
    validation = validation.select(np.argsort(-column(validation, "length"), kind="stable"), keep_in_memory=True)
    trainer = FineTuningTrainer(
        model=model,
        args=training_arguments(params, choose_batching(params, model), learning_rate, scratch),
        train_dataset=rows,
        eval_dataset=validation,
        data_collator=make_collator(tokenizer),
        compute_metrics=compute_metrics,
        awp=params.awp,
        class_weights=balanced_class_weights(column(rows, "label"), num_classes) if balanced else None,
        sharded=sharded,
    )
    check_accelerator(trainer.accelerator, params.train.precision, sharded)
    trainer.remove_callback(PrinterCallback)
    if trainer.pop_callback(ProgressCallback):
        trainer.add_callback(ProgressBar)
    return trainer
