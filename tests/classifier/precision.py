"""What the tests of low precision share: families, methods, and the gradients that a tiny model has in a precision."""

import pytest
import torch
from torch import nn

from stages.classifier.low_precision import in_precision
from tests.methods.tiny_models import TINY, padded_batch

CPU = torch.device("cpu")
LABELS = torch.tensor([0, 1, 1, 0])
every_family = pytest.mark.parametrize("name", TINY)
every_peft = pytest.mark.parametrize("method", ["lora", "adapter"])


@pytest.fixture(autouse=True)
def on_the_cpu(monkeypatch):
    monkeypatch.setattr("stages.classifier.faster.apply.pick_device", lambda: CPU)


def gradients(model: nn.Module, precision: str = "fp32", length: int = 9) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Logits (4, 2), and the gradients of the trainable parameters by name."""
    model.zero_grad()
    logits = in_precision(model, precision, CPU)(**padded_batch(model, length)).logits.float()
    nn.functional.cross_entropy(logits, LABELS).backward()
    return logits.detach(), {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}
