"""Bottleneck adapters as a PEFT tuner, adversarial weight perturbation, and mixout.

Each is a module of its own, imported by its name: `peft_extras.bottleneck`, `peft_extras.awp`, `peft_extras.mixout`.
"""
