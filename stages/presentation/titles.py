"""What the methods and the arms of the benchmark are called wherever people read."""

METHOD_LABELS = {"full": "full fine-tuning", "lora": "LoRA", "lora_merged": "LoRA, merged", "adapter": "adapter"}
