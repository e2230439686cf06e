"""python -m bench.agreement

Compares this project's adapters with those of the AdapterHub library (Poth et al. 2023): the same tiny random BERT, the same
adapter weights, the same texts, and the largest difference of the logits, for each `peft.adapter`; and, to see what no agreement
would look like, the difference if the library's model runs without its adapters. The library needs an older
transformers, so it runs in an environment of its own, which `make .cache/adapterhub/.installed` makes.
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import torch
from peft import get_peft_model_state_dict
from safetensors.torch import save_file
from transformers import BertConfig, BertForSequenceClassification

from stages.methods import adapter
from stages.project.parameters import load_params
from stages.project.schema import Params

OTHER_PYTHON = Path(".cache/adapterhub/bin/python")
PLACES = ("pfeiffer", "houlsby", "parallel")
SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "vocab_size": 60,
}
WIDE: dict[str, Any] = {"num_labels": 3, "initializer_range": 0.2}  # wide enough that every part shows in the logits
BOTTLENECK = 8


def main() -> None:
    """Print the largest differences of two logits for each placement."""
    parser = argparse.ArgumentParser(description="Compare the adapters' logits with those of the AdapterHub library.")
    parser.add_argument("--python", type=Path, default=OTHER_PYTHON, help="Python of the library's environment")
    python = parser.parse_args().python
    if not python.is_file():
        raise SystemExit(f"error: no {python}: make .cache/adapterhub/.installed, or name it with --python")
    print(f"{'peft.adapter':<14}{'largest difference':>20}{'without adapters':>20}")
    for place in PLACES:
        difference, bare = compare(place, python, load_params())
        print(f"{place:<14}{difference:>20.1e}{bare:>20.1e}")


def compare(place: str, python: Path, params: Params) -> tuple[float, float]:
    """Return the largest |difference| of the two libraries' logits, over 6 texts and 3 classes, with adapters and without."""
    params = params.model_copy(update={"peft": params.peft.model_copy(update={"adapter": place, "bottleneck": BOTTLENECK})})
    torch.manual_seed(0)
    base = BertForSequenceClassification(BertConfig(**SIZES, **WIDE))
    weights = {name: tensor.clone() for name, tensor in base.state_dict().items()}
    model = adapter.attach(base, params).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "feedforward_adapter_" in name:
                parameter.add_(0.3 * torch.randn_like(parameter))  # nothing rests on a start near zero
        ids = torch.randint(5, SIZES["vocab_size"], (6, 12))
        mask = (torch.arange(12) < torch.tensor([12, 9, 3, 12, 5, 1])[:, None]).long()
        logits = model(input_ids=ids, attention_mask=mask).logits
    adapters = {name: tensor for name, tensor in get_peft_model_state_dict(model).items() if "feedforward_adapter_" in name}
    setting: dict[str, Any] = {"sizes": SIZES, "bottleneck": BOTTLENECK, "place": place, "scaling": params.peft.scaling}
    with tempfile.TemporaryDirectory() as folder:
        save_file(weights, Path(folder) / "base.safetensors")
        save_file(adapters, Path(folder) / "adapters.safetensors")
        save_file({"ids": ids, "mask": mask, "logits": logits}, Path(folder) / "texts.safetensors")
        (Path(folder) / "setting.json").write_text(json.dumps(setting))
        command = [str(python), "-m", "bench.adapterhub_logits", folder]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    with_adapters, without = map(float, done.stdout.split()[-2:])
    return with_adapters, without


if __name__ == "__main__":
    main()
