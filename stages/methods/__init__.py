"""What makes a base model into the three that are compared: full fine-tuning, LoRA and a bottleneck adapter."""
