"""The names of the methods and of the benchmark's arms in everything that people read."""

METHOD_LABELS = {"full": "full fine-tuning", "lora": "LoRA", "lora_merged": "LoRA, merged", "adapter": "adapter"}
