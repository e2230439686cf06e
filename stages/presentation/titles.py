"""The names of the methods, of the benchmark's arms and of the baselines in everything that people read."""

METHOD_LABELS = {"full": "full fine-tuning", "lora": "LoRA", "lora_merged": "LoRA, merged", "adapter": "adapter"}
BASELINE_LABELS = {
    "majority": "most frequent class",
    "stratified": "random by frequency",
    "tfidf": "TF-IDF, logistic regression",
}
