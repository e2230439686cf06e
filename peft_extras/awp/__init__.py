"""Adversarial weight perturbation (Wu, Xia, Wang, NeurIPS 2020): train on the loss at the worst point near the weights."""

from peft_extras.awp.cosine import gradient_cosine
from peft_extras.awp.log import PerturbationLog
from peft_extras.awp.move import Move
from peft_extras.awp.perturbation import AdversarialWeightPerturbation
from peft_extras.awp.targets import Embeddings, Target

__all__ = ["AdversarialWeightPerturbation", "Embeddings", "Move", "PerturbationLog", "Target", "gradient_cosine"]
