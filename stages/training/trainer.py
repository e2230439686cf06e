"""The Trainer of all methods: batches grouped by length, an exact accumulated loss, AWP inside the training step."""

import torch
from torch import nn

from stages.config.schema import AwpParams
from stages.regularization.awp import AdversarialWeightPerturbation, in_window
from stages.tokenized import column
from stages.training.loss import ClassificationLoss
from stages.training.resumable import ResumableTrainer
from stages.training.sampler import LengthGroupedSampler


class FineTuningTrainer(ResumableTrainer):
    """`transformers.Trainer` with this project's save points, sampler, loss and training step.

    Args:
        awp: when and how far weights are perturbed.
        class_weights: (K,) of the loss in training; None for equal ones. Validation loss is never weighed.
    """

    def __init__(self, *args, awp: AwpParams, class_weights: torch.Tensor | None = None, **kwargs):
        super().__init__(*args, compute_loss_func=ClassificationLoss(class_weights), **kwargs)
        self.awp_params = awp
        self.awp = AdversarialWeightPerturbation(self.model, awp.epsilon) if awp.enabled else None

    def training_step(self, model: nn.Module, inputs: dict, num_items_in_batch=None) -> torch.Tensor:
        """Add one micro-batch's gradient to `.grad` and return its loss at w.

        Outside AWP's window that is the gradient of the loss at w. Inside, it is the gradient at w + v, where v comes from
        a first forward and backward pass over the same micro-batch.
        """
        model.train()
        inputs = self._prepare_inputs(inputs)

        def loss_of(module: nn.Module) -> torch.Tensor:
            with self.compute_loss_context_manager():
                return self.compute_loss(module, dict(inputs), num_items_in_batch=num_items_in_batch)

        if not self.awp_is_due():
            loss = loss_of(model)
            self.accelerator.backward(loss)
            return loss.detach()
        # the first pass goes past a distributed wrapper: each process moves its weights by its own micro-batch, as one process
        # does with one micro-batch after another, and no reduction is started whose gradients nobody waits for
        with self.awp.perturbed(lambda: loss_of(self.model)) as loss:
            self.accelerator.backward(loss_of(model))
        return loss

    def awp_is_due(self) -> bool:
        """Whether the current optimizer step lies in AWP's part of its epoch."""
        if self.awp is None:
            return False
        steps_per_epoch = self.state.max_steps // self.state.num_train_epochs
        step = self.state.global_step % steps_per_epoch
        return in_window(step, steps_per_epoch, self.awp_params.window_start, self.awp_params.window_end)

    def create_optimizer(self, *args, **kwargs) -> torch.optim.Optimizer:
        """Make the optimizer, and make sure that it holds the trainable parameters, each once, and no other."""
        optimizer = super().create_optimizer(*args, **kwargs)
        held = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        trainable = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        if sorted(map(id, held)) != sorted(map(id, trainable)):
            raise AssertionError(
                f"the optimizer holds {len(held)} tensors, the model has {len(trainable)} trainable ones: they must be the same"
            )
        return optimizer

    def _get_train_sampler(self, train_dataset=None) -> LengthGroupedSampler:
        # `train_dataset`, if given, has lost the column by which the rows are grouped
        batch_size = self.args.train_batch_size * self.args.gradient_accumulation_steps * self.args.world_size
        return LengthGroupedSampler(column(self.train_dataset, "length"), batch_size, self.args.data_seed)
