"""Bottleneck adapters, mixout and AWP with the Trainer of transformers; saved, and loaded again.

Run it with: pip install . && python examples/peft_extras/trainer.py
"""

import sys
import tempfile
from typing import Any

import torch
from peft import PeftModel, get_peft_model
from tiny import adapter_config, texts, tiny_classifier
from torch import nn
from transformers import Trainer, TrainingArguments

from peft_extras.awp import AdversarialWeightPerturbation
from peft_extras.mixout import apply_mixout

HEAD = "base_model.model.classifier.modules_to_save.default"  # the copy of the head that PEFT trains


class AwpTrainer(Trainer):
    """Takes each micro-batch's gradient at w + v. The library's own step does so, after a first pass that finds v."""

    epsilon = 0.01

    def training_step(self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Any = None) -> torch.Tensor:
        def loss() -> torch.Tensor:
            with self.compute_loss_context_manager():
                # self.model, and not the distributed wrapper `model`, whose hooks would add up this gradient too
                return self.compute_loss(self.model, self._prepare_inputs(inputs), num_items_in_batch=num_items_in_batch)

        model.train()  # an evaluation may have come before
        with self.awp.perturbed(loss):
            return super().training_step(model, inputs, num_items_in_batch)

    def train(self, *args: Any, **kwargs: Any) -> Any:
        self.awp = AdversarialWeightPerturbation(self.model, self.epsilon)
        return super().train(*args, **kwargs)


def main(epochs: int) -> None:
    rows = texts(64)
    model = get_peft_model(tiny_classifier(), adapter_config())
    apply_mixout(model, [HEAD], p=0.1)  # after PEFT has wrapped the model
    model.print_trainable_parameters()
    with tempfile.TemporaryDirectory() as folder:
        settings = TrainingArguments(
            folder, num_train_epochs=epochs, learning_rate=3e-2, report_to="none", save_strategy="no", seed=13, use_cpu=True
        )
        trainer = AwpTrainer(model, settings, train_dataset=rows, eval_dataset=rows)
        before = trainer.evaluate()["eval_loss"]
        trainer.train()
        after = trainer.evaluate()["eval_loss"]
        print(f"loss {before:.3f} -> {after:.3f}; {trainer.awp.log}")
        assert after < before

        model.save_pretrained(folder)
        loaded = PeftModel.from_pretrained(tiny_classifier(), folder).eval()
        ids = torch.stack([row["input_ids"] for row in rows])
        with torch.no_grad():
            assert torch.equal(loaded(ids).logits, model.eval()(ids).logits)
        print("loaded again: the same logits")


if __name__ == "__main__":
    main(epochs=int(sys.argv[1]) if len(sys.argv) > 1 else 3)
