""".cache/adapterhub/bin/python -m bench.adapterhub_logits FOLDER

The other half of bench.agreement: builds the model in FOLDER with the AdapterHub library, copies the weights there into its
adapters and prints the largest differences from the logits there, with these adapters and without.
"""

import json
import sys
from pathlib import Path
from typing import Any

import adapters
import torch
from adapters import BnConfig, DoubleSeqBnConfig, ParBnConfig
from safetensors.torch import load_file
from transformers import BertConfig, BertForSequenceClassification

NAME = "bottleneck"


def library_config(place: str, reduction: float, scaling: float) -> BnConfig:
    """The library's own configuration, with the width and the nonlinearity of this project.

    Its SeqBnConfig (Pfeiffer et al. 2021) has one more LayerNorm before the adapter, which this project has not; its
    DoubleSeqBnConfig (Houlsby et al. 2019) without the adapter after attention has the same place and the same formula.
    """
    if place == "parallel":
        return ParBnConfig(reduction_factor=reduction, scaling=scaling)
    return DoubleSeqBnConfig(mh_adapter=place == "houlsby", reduction_factor=reduction, non_linearity="gelu")


def main() -> None:
    """Print max |our logit - the library's|, with the adapters and without."""
    folder = Path(sys.argv[1])
    setting = json.loads((folder / "setting.json").read_text())
    texts = load_file(folder / "texts.safetensors")
    sizes = setting["sizes"] | {"num_labels": texts["logits"].shape[1]}
    model: Any = BertForSequenceClassification(BertConfig(**sizes))
    model.load_state_dict(load_file(folder / "base.safetensors"))
    adapters.init(model)
    config = library_config(setting["place"], sizes["hidden_size"] / setting["bottleneck"], float(setting["scaling"]))
    model.add_adapter(NAME, config=config)
    model.set_active_adapters(NAME)
    theirs = {name: parameter for name, parameter in model.named_parameters() if f".adapters.{NAME}." in name}
    ours = {library_name(name): tensor for name, tensor in load_file(folder / "adapters.safetensors").items()}
    if theirs.keys() != ours.keys():
        raise SystemExit(f"error: weights without a counterpart: {sorted(theirs.keys() ^ ours.keys())}")
    with torch.no_grad():
        for name, parameter in theirs.items():
            parameter.copy_(ours[name])
        logits = model.eval()(input_ids=texts["ids"], attention_mask=texts["mask"]).logits
        model.set_active_adapters(None)
        bare = model(input_ids=texts["ids"], attention_mask=texts["mask"]).logits
    print(*((found - texts["logits"]).abs().max().item() for found in (logits, bare)))


def library_name(name: str) -> str:
    """...layer.0.output.dropout.feedforward_adapter_down.weight -> ...layer.0.output.adapters.NAME.adapter_down.0.weight."""
    name = name.removeprefix("base_model.model.").replace(".dropout.feedforward_adapter_", f".adapters.{NAME}.adapter_")
    return name.replace("adapter_down.", "adapter_down.0.")


if __name__ == "__main__":
    main()
