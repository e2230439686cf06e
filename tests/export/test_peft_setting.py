"""The card names the variant of LoRA and of the adapter that was trained, and no other."""

import pytest

from stages.export.peft_setting import STARTS, TARGETS, adapter_setting, lora_setting


def test_without_variants_only_size_and_place_are_said(params):
    assert lora_setting(params.peft) == "LoRA: rank 8, alpha 16, dropout 0, on all attention projections"
    assert adapter_setting(params.peft) == "adapter: bottleneck 64, GELU, one in each feed-forward block"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        *(({"target": target}, f"on {words}") for target, words in TARGETS.items()),
        *(({"init": init}, words) for init, words in STARTS.items()),
        ({"use_rslora": True}, "alpha / sqrt(r) (rsLoRA)"),
        ({"use_dora": True}, "trained norms of the rows (DoRA)"),
    ],
)
def test_each_variant_of_lora_is_said(changes, said, params, with_params):
    setting = lora_setting(with_params(peft=changes).peft)
    assert setting.endswith(said)
    assert setting == lora_setting(params.peft) or changes != {"target": "attention"}


def test_each_place_of_the_adapter_is_said(with_params):
    said = [adapter_setting(with_params(peft={"adapter": place, "scaling": 2.5}).peft) for place in ("houlsby", "parallel")]
    assert "one in each attention block and one in each feed-forward block" in said[0]
    assert "ReLU, one beside each feed-forward block, its output times 2.5" in said[1]
