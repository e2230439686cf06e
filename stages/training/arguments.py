"""The Trainer's arguments, from params.yaml."""

import sys

from transformers import TrainingArguments

from stages.memory.batching import Batching
from stages.project.machine import pick_device
from stages.project.schema import Params


def training_arguments(params: Params, batching: Batching, learning_rate: float, scratch: str) -> TrainingArguments:
    """Return the Trainer's arguments: AdamW with linear warm-up and decay, one evaluation per epoch, nothing saved.

    A process trains on one device, the first GPU if there are several; `train.launcher` is how to use more.

    Args:
        scratch: a folder that the Trainer requires; it stays empty.
    """
    train = params.train
    arguments = TrainingArguments(
        output_dir=scratch,
        num_train_epochs=train.epochs,
        per_device_train_batch_size=batching.micro_batch_size,
        gradient_accumulation_steps=batching.accumulation_steps,
        per_device_eval_batch_size=train.eval_batch_size,
        learning_rate=learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=train.warmup_fraction,  # the library reads a number below 1 as a share of all steps
        weight_decay=train.weight_decay,
        max_grad_norm=train.max_grad_norm,
        optim="adamw_torch_fused",
        use_cpu=pick_device().type == "cpu",  # without a GPU, several processes communicate only if told so
        seed=params.seed,
        data_seed=params.seed,
        eval_strategy="epoch",
        logging_strategy="epoch",
        save_strategy="no",
        report_to="none",
        dataloader_pin_memory=False,
        disable_tqdm=not sys.stderr.isatty(),
    )
    # one process would otherwise spread each micro-batch over all GPUs (DataParallel): different batches, a different loss
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments
