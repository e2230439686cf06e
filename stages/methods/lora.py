"""LoRA (Hu et al. 2022): a low-rank update beside linear layers of the encoder, which itself is frozen.

y = W x + b + s B A x, with A (r, in), B (out, r) and s = alpha / r, or alpha / sqrt(r) with `peft.use_rslora`
(Kalajdzievski 2023). By default A is random and B zero, so that training starts at the base model.

`peft.use_dora` (Liu et al. 2024): y = m (W + s B A) / ||W + s B A|| x + b with the norm of each row, which is held constant in
the backward pass; the trained vector m (out,) starts at the norms of W. AWP leaves m as it is: it moves tensors of two or more
dimensions only.

`peft.init` decides how A and B start. With `pissa` (Meng et al. 2024; the r largest singular values of W) and `olora`
(Büyükakyüz 2024; the first r columns of Q and rows of R of W = QR) B A is not zero: PEFT subtracts it from the frozen weight,
W - s B A + s B A, so that training still starts at the base model. A checkpoint does not contain that weight. Loading computes
it anew from the base model, whose hash is checked: with the same bytes on one machine, and elsewhere up to rounding.
"""

from typing import cast

from peft import LoraConfig, PeftModel, TaskType, get_peft_model
from torch import nn
from transformers import PreTrainedModel

from stages.classifier.families import family_of, modules_to_save
from stages.classifier.quiet import quiet_libraries
from stages.project.errors import UserError
from stages.project.schema import DECOMPOSED, Params

NAME = "lora"


def attach(base: PreTrainedModel, params: Params) -> PeftModel:
    """Put LoRA on the linear layers of `peft.target` in every layer of `base`; only LoRA and the head are trained.

    Raises:
        UserError: `peft.init` takes A and B from a decomposition of weights that have fewer than `peft.rank` rows or columns.
    """
    peft = params.peft
    config = LoraConfig(
        task_type=TaskType.SEQ_CLS,
        r=peft.rank,
        lora_alpha=cast(int, peft.alpha),  # PEFT declares int, but divides by r: fractions are as good
        lora_dropout=peft.dropout,
        # a regular expression, not a list: PEFT turns a list into a set and saves it in hash order
        target_modules=family_of(base.config.model_type).projections(peft.target),
        modules_to_save=modules_to_save(base),
        use_rslora=peft.use_rslora,
        use_dora=peft.use_dora,
        init_lora_weights=True if peft.init == "default" else peft.init,
    )
    with quiet_libraries():
        model = get_peft_model(base, config)
    _check_rank(model, params)
    return model


def _check_rank(model: nn.Module, params: Params) -> None:
    """Check that each A has r rows: a decomposition of a smaller weight gives fewer without a word."""
    rows = min(weight.shape[0] for name, weight in model.named_parameters() if ".lora_A." in name)
    if params.peft.init in DECOMPOSED and rows < params.peft.rank:
        raise UserError(
            f"peft.rank: {params.peft.init} takes A and B from the weights, the smallest of which has rank {rows}, "
            f"received {params.peft.rank}; lower peft.rank to {rows}, or set peft.init to default"
        )
