"""The Trainer's arguments, from params.yaml."""

import sys

from accelerate import Accelerator, DistributedType
from accelerate.utils import DynamoBackend
from transformers import TrainingArguments

from stages.memory.batching import Batching
from stages.project.machine import pick_device
from stages.project.schema import Params
from stages.training.nodes import join_others, timeout_seconds


def training_arguments(params: Params, batching: Batching, learning_rate: float, scratch: str) -> TrainingArguments:
    """Return the Trainer's arguments: AdamW with linear warm-up and decay, one evaluation per epoch, nothing saved.

    A process trains on one device, the first GPU if there are several; `train.launcher` is how to use more.

    Args:
        scratch: a folder that the Trainer requires; it stays empty.
    """
    train = params.train
    join_others(pick_device())
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
        ddp_timeout=timeout_seconds(),
        use_cpu=pick_device().type == "cpu",  # without a GPU, several processes communicate only if told so
        seed=params.seed,
        data_seed=params.seed,
        eval_strategy="epoch",
        logging_strategy="epoch",
        logging_nan_inf_filter=False,  # it would show a loss of 0 in place of one that is not finite
        bf16=train.precision == "bf16",  # autocast: trained weights, optimizer and loss stay in float32
        fp16=train.precision == "fp16",
        torch_compile=False,
        save_strategy="no",
        report_to="none",
        dataloader_pin_memory=False,
        disable_tqdm=not sys.stderr.isatty(),
    )
    # one process would otherwise spread each micro-batch over all GPUs (DataParallel): different batches, a different loss
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


def check_accelerator(accelerator: Accelerator, precision: str = "fp32", sharded: bool = False) -> None:
    """Assert that accelerate, which reads its settings from several places, computes as asked and shares only gradients.

    Args:
        precision: `train.precision`.
        sharded: whether weights are shared too, see `stages.training.sharding`.
    """
    asked = "no" if precision == "fp32" else precision
    plain = (DistributedType.NO, DistributedType.MULTI_CPU, DistributedType.MULTI_GPU)
    expected = (DistributedType.FSDP,) if sharded else plain
    compiler = accelerator.state.dynamo_plugin.backend
    found = (accelerator.mixed_precision, compiler, accelerator.distributed_type)
    if found[:2] != (asked, DynamoBackend.NO) or accelerator.distributed_type not in expected:
        raise AssertionError(f"accelerate has the settings {found}, expected {precision} without compilation, and {expected}")
