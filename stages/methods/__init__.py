"""The three methods that are compared: full fine-tuning, LoRA and a bottleneck adapter."""
