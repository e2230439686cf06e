"""The two regularizers that all methods share: adversarial weight perturbation and mixout."""
