"""The Trainer of all methods, from top to bottom: the loss, when AWP acts, one training step, and the hooks into the library."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch import nn
from torch.distributed.tensor import DTensor
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import Dataset
from transformers import Trainer, TrainingArguments

from peft_extras.awp import AdversarialWeightPerturbation
from stages.classifier.splits import column
from stages.memory.step import awp_arguments
from stages.methods.method import Model
from stages.project.schema import AwpParams
from stages.training.divergence import Divergence, unusual
from stages.training.sampler import LengthGroupedSampler
from stages.training.sharding import shard

if TYPE_CHECKING:
    from stages.training.resumption import Resumption

# Private names of transformers that this room uses; a test fails if the library renames one.
PRIVATE_HOOKS = (
    "_n_gpu",  # in arguments.py: one process trains on one GPU
    "_prepare_inputs",  # a micro-batch moves to the device
    "_get_train_sampler",  # the order of the rows
    "_clip_grad_norm",  # whose result says whether a step can be taken
    "_save_checkpoint",  # one save point in place of the library's checkpoint folder
    "_load_from_checkpoint",
    "_load_optimizer_and_scheduler",
    "_load_rng_state",
    "_tr_loss",  # the running loss of the epoch, part of a save point
    "_globalstep_last_logged",
)


class ClassificationLoss:
    """Cross entropy of one micro-batch as its part of the mean over the batch of an optimizer step.

    Formula: sum_i -c[y_i] log softmax(logits_i)[y_i] / N with N = `num_items_in_batch`, the rows of all micro-batches in all
    processes, so that gradients add up to those of the large batch even if micro-batches differ in size, and c the class
    weights. The Trainer's own evaluation loss also comes from here, class weights included; the reported one is the plain
    cross entropy of the predictions. It is computed in float32, whatever the precision of the forward pass.

    Shapes: outputs.logits (B, K), labels (B,), c (K,).
    """

    def __init__(self, class_weights: torch.Tensor | None = None):
        self.class_weights = class_weights

    def __call__(self, outputs: Any, labels: torch.Tensor, num_items_in_batch: int | torch.Tensor) -> torch.Tensor:
        logits = outputs["logits"] if isinstance(outputs, Mapping) else outputs.logits
        logits = logits.float()
        weights = None if self.class_weights is None else self.class_weights.to(logits)
        return nn.functional.cross_entropy(logits, labels, weights, reduction="sum") / num_items_in_batch


def balanced_class_weights(labels: np.ndarray, num_classes: int) -> torch.Tensor:
    """Return c[k] = N / (K n_k), shape (K,), for labels (N,) of which n_k have class k (King and Zeng 2001).

    Every class then has the same share of the loss, and the mean weight of a row is 1, so the learning rate keeps its meaning.
    """
    weights = compute_class_weight("balanced", classes=np.arange(num_classes), y=np.asarray(labels))
    return torch.tensor(weights, dtype=torch.float32)


def in_window(step: int, steps_per_epoch: int, start: float, end: float) -> bool:
    """Whether optimizer step `step` (0, 1, ... within its epoch) lies in [start, end) of the epoch.

    With start 0.5 and end 1 that is the second half: steps ceil(S / 2) .. S - 1 of S.
    """
    return start <= step / steps_per_epoch < end


class FineTuningTrainer(Trainer):
    """`transformers.Trainer` with this project's loss, training step, order of rows and save points.

    Args:
        awp: when and how far weights are perturbed.
        class_weights: (K,) for the training loss; None for equal weights. The reported validation loss is never weighted.
        sharded: whether each process holds only a share of every weight.

    Attributes:
        overflows: optimizer steps left out because the scaled gradient of fp16 overflowed.
    """

    # Optional in the library; here the model is always given, and the other two exist once training has begun
    model: Model
    optimizer: torch.optim.Optimizer
    lr_scheduler: LambdaLR

    def __init__(
        self,
        model: Model,
        args: TrainingArguments,
        *,
        awp: AwpParams,
        class_weights: torch.Tensor | None = None,
        sharded: bool = False,
        **kwargs: Any,
    ):
        self.to_shard = model if sharded else None  # read while the library sets up
        super().__init__(model, args, compute_loss_func=ClassificationLoss(class_weights), **kwargs)
        self.awp_params = awp
        self.awp = AdversarialWeightPerturbation(self.model, **awp_arguments(awp)) if awp.enabled else None
        self.resumption: Resumption | None = None
        self.overflows = 0
        self.step_loss: torch.Tensor | None = None  # of the micro-batches since the last optimizer step, in this process

    def create_accelerator_and_postprocess(self) -> None:
        """Create the accelerator; a model that is to be sharded then stays on the CPU until it is cut."""
        super().create_accelerator_and_postprocess()
        if self.to_shard is not None:
            shard(self.accelerator, self.to_shard)
            self.is_fsdp_enabled = True

    def training_step(
        self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: torch.Tensor | int | None = None
    ) -> torch.Tensor:
        """Add one micro-batch's gradient to `.grad` and return its loss at w (a detached scalar).

        Outside AWP's window it is the gradient at w; inside, the gradient at w + v, where v comes from a first forward and
        backward pass over the same micro-batch.
        """
        model.train()
        inputs = self._prepare_inputs(inputs)

        def loss_of(module: nn.Module) -> torch.Tensor:
            with self.compute_loss_context_manager():
                loss = self.compute_loss(module, dict(inputs), num_items_in_batch=num_items_in_batch)
            assert isinstance(loss, torch.Tensor)  # a tuple only if the outputs are asked for
            return loss

        if self.awp is None or not self.awp_is_due():
            loss = loss_of(model)
            self.accelerator.backward(loss)
            return self.counted(loss.detach())
        # The first pass bypasses the distributed wrapper: each process moves its weights by its own micro-batch, as a single
        # process does for each of its micro-batches, and no gradient reduction starts.
        clean: list[torch.Tensor] = []

        def scaled_loss() -> torch.Tensor:
            loss = loss_of(self.model)
            clean.append(loss.detach())
            return loss if self.scaler is None else self.scaler.scale(loss)

        with self.awp.perturbed(scaled_loss):
            self.accelerator.backward(loss_of(model))
        return self.counted(clean[0])

    @property
    def scaler(self) -> "torch.amp.GradScaler | None":
        """What scales the loss in fp16, so that small gradients do not vanish; accelerate updates it once per optimizer step."""
        return self.accelerator.scaler

    def counted(self, loss: torch.Tensor) -> torch.Tensor:
        """Add a micro-batch's loss to that of the optimizer step, which `_clip_grad_norm` checks, and return it."""
        self.step_loss = loss if self.step_loss is None else self.step_loss + loss
        return loss

    def awp_is_due(self) -> bool:
        """Whether the current optimizer step is in AWP's window of its epoch."""
        steps_per_epoch = self.state.max_steps // self.state.num_train_epochs
        step = self.state.global_step % steps_per_epoch
        return in_window(step, steps_per_epoch, self.awp_params.window_start, self.awp_params.window_end)

    def _clip_grad_norm(self, model: nn.Module) -> torch.Tensor:
        """Clip the gradient, and end the training if this step's loss, gradient or perturbation is not finite.

        In fp16 a gradient may overflow because it is scaled: the scaler then leaves the step out and halves the scale. That is
        no divergence as long as the loss is finite and there is a scale to halve.

        Raises:
            Divergence: in all processes, if it is so in one.
        """
        norm = super()._clip_grad_norm(model)
        if isinstance(norm, DTensor):  # of sharded gradients: the norm over all processes
            norm = norm.full_tensor()
        assert self.step_loss is not None
        moved = norm.new_tensor(self.awp.log.ratio_sum if self.awp else 0)
        numbers, self.step_loss = torch.stack([self.step_loss, norm, moved]), None  # one transfer from the device
        if self.args.world_size > 1:
            numbers = self.accelerator.gather(numbers[None]).sum(dim=0)
        found = dict(zip(("the loss", "the norm of the gradient", "the move of AWP"), numbers.tolist(), strict=True))
        if self.scaler is not None and self.scaler.get_scale() >= 1 and not math.isfinite(found["the norm of the gradient"]):
            del found["the norm of the gradient"]
            self.overflows += 1
        for name, value in found.items():
            if what := unusual(name, value):
                raise self.divergence(what, self.state.global_step + 1)
        return norm

    def divergence(self, what: str, step: int) -> Divergence:
        """Return the end of this training in optimizer step `step` (1, 2, ...) for the reason `what`."""
        (learning_rate, *_) = self.lr_scheduler.get_last_lr()
        return Divergence(what, step, self.state.max_steps, float(learning_rate))

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """Create the optimizer, and assert that it holds exactly the trainable parameters, each once."""
        optimizer = super().create_optimizer(model)
        held = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        trainable = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        if sorted(map(id, held)) != sorted(map(id, trainable)):
            raise AssertionError(
                f"the optimizer holds {len(held)} tensors, the model has {len(trainable)} trainable ones: they must be the same"
            )
        return optimizer

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> LengthGroupedSampler:
        # `train_dataset`, if given, lacks the column by which the rows are grouped
        assert self.args.data_seed is not None
        batch_size = self.args.train_batch_size * self.args.gradient_accumulation_steps * self.args.world_size
        return LengthGroupedSampler(column(self.train_dataset, "length"), batch_size, self.args.data_seed)

    # The rest replaces the library's checkpoints by the one save point of `self.resumption`.

    def make_resumable(self, resumption: "Resumption") -> None:
        """From now on, save to and resume from `resumption`."""
        self.resumption = resumption
        self.add_callback(resumption)

    def train_to_the_end(self) -> None:
        """Train from the save point, or from the beginning if there is none."""
        if self.resumption is None or self.resumption.saved is None:
            self.train()
        elif not self.resumption.restore_history():
            self.train(resume_from_checkpoint=self.args.output_dir)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        assert self.resumption is not None
        self.resumption.save()

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        assert self.resumption is not None
        self.resumption.restore_weights()

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            assert self.resumption is not None
            self.resumption.restore_optimizer()

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            assert self.resumption is not None
            self.resumption.restore_random_state()
