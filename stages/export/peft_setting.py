"""What a model card says of LoRA and of the adapter."""

from stages.project.schema import PeftParams

TARGETS = {
    "attention": "all attention projections",
    "feed_forward": "the linear layers of all feed-forward blocks",
    "all": "all attention projections and the linear layers of all feed-forward blocks",
}
STARTS = {
    "gaussian": "A started normal",
    "orthogonal": "A and B started orthogonal",
    "pissa": "A and B started from the weights' largest singular values (PiSSA)",
    "olora": "A and B started from the weights' QR decomposition (OLoRA)",
}


def lora_setting(peft: PeftParams) -> str:
    """Size, place and variants of LoRA."""
    size = f"rank {peft.rank}, alpha {peft.alpha:g}, dropout {peft.dropout:g}"
    variants = {
        "scaled by alpha / sqrt(r) (rsLoRA)": peft.use_rslora,
        "with trained norms of the rows (DoRA)": peft.use_dora,
        STARTS.get(peft.init, ""): peft.init in STARTS,
    }
    return ", ".join([f"LoRA: {size}, on {TARGETS[peft.target]}", *(said for said, used in variants.items() if used)])


def adapter_setting(peft: PeftParams) -> str:
    """Width, function and place of the adapters."""
    places = {
        "pfeiffer": "GELU, one in each feed-forward block",
        "houlsby": "GELU, one in each attention block and one in each feed-forward block",
        "parallel": f"ReLU, one beside each feed-forward block, its output times {peft.scaling:g}",
    }
    return f"adapter: bottleneck {peft.bottleneck}, {places[peft.adapter]}"
