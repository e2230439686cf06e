"""Bottleneck adapters, mixout and AWP in a loop of one's own, with gradient accumulation; saved, and loaded again.

Run it with: pip install . && python examples/peft_extras/plain_loop.py
"""

import sys
import tempfile

import torch
from peft import PeftModel, get_peft_model
from tiny import adapter_config, texts, tiny_classifier

from peft_extras.awp import AdversarialWeightPerturbation, gradient_cosine
from peft_extras.mixout import apply_mixout

HEAD = "base_model.model.classifier.modules_to_save.default"  # the copy of the head that PEFT trains
MICRO_BATCH, ACCUMULATED = 8, 2


def main(epochs: int) -> None:
    batches = torch.utils.data.DataLoader(texts(64), batch_size=MICRO_BATCH)
    model = get_peft_model(tiny_classifier(), adapter_config())
    apply_mixout(model, [HEAD], p=0.1)  # after PEFT has wrapped the model
    awp = AdversarialWeightPerturbation(model, epsilon=0.01)
    optimizer = torch.optim.AdamW([parameter for parameter in model.parameters() if parameter.requires_grad], lr=3e-2)

    losses = []
    for epoch in range(epochs):
        for step, batch in enumerate(batches, start=1):

            def compute_loss(batch=batch):
                return model.train()(**batch).loss / ACCUMULATED

            with awp.perturbed(compute_loss) as loss:  # at w, for the record
                compute_loss().backward()  # at w + v; the weights are back at w after the block
            losses.append(ACCUMULATED * loss.item())
            if step % ACCUMULATED == 0:
                optimizer.step()
                optimizer.zero_grad()
        print(f"epoch {epoch + 1}: loss {sum(losses[-len(batches) :]) / len(batches):.3f}, {awp.log}")
    assert sum(losses[-len(batches) :]) < sum(losses[: len(batches)]) or epochs == 1
    print(f"cosine between the gradients at w and at w + v: {gradient_cosine(model, awp, compute_loss):.3f}")

    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        loaded = PeftModel.from_pretrained(tiny_classifier(), folder).eval()
        ids = next(iter(batches))["input_ids"]
        with torch.no_grad():
            assert torch.equal(loaded(ids).logits, model.eval()(ids).logits)
        print("loaded again: the same logits")


if __name__ == "__main__":
    main(epochs=int(sys.argv[1]) if len(sys.argv) > 1 else 3)
