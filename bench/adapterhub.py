""".cache/adapterhub/bin/python -m bench.adapterhub

The arm of the AdapterHub library (Poth et al. 2023): its bottleneck adapter with the same width and placement, trained by its
own trainer on the same texts. It runs in the environment of bench/adapterhub.requirements.txt, not in that of this project.
"""

import tempfile

import adapters
import numpy as np
import torch
from adapters import AdapterTrainer, SeqBnConfig
from datasets import Dataset
from transformers import AutoModelForSequenceClassification, AutoTokenizer, DataCollatorWithPadding, TrainingArguments

from bench.protocol import TRAINED_ROWS, serve


def main() -> None:
    torch.set_num_threads(torch.get_num_threads())
    rows = Dataset.from_file("data/processed/train.arrow")
    rows = rows.select(np.random.default_rng(0).permutation(len(rows))[:TRAINED_ROWS])
    rows = rows.select_columns(["input_ids", "label", "length"])
    model = AutoModelForSequenceClassification.from_pretrained("models/base", num_labels=2)
    adapters.init(model)
    model.add_adapter("bottleneck", config=SeqBnConfig(reduction_factor=model.config.hidden_size / 64, non_linearity="gelu"))
    model.train_adapter("bottleneck")
    collator = DataCollatorWithPadding(AutoTokenizer.from_pretrained("models/base"))

    def work() -> int:
        with tempfile.TemporaryDirectory() as folder:
            arguments = TrainingArguments(  # type: ignore[call-arg]  # the older transformers of that environment
                output_dir=folder,
                num_train_epochs=1,
                per_device_train_batch_size=32,
                group_by_length=True,
                learning_rate=1e-5,
                save_strategy="no",
                report_to="none",
                dataloader_pin_memory=False,
                disable_tqdm=True,
            )
            AdapterTrainer(model=model, args=arguments, train_dataset=rows, data_collator=collator).train()
        return len(rows)

    serve(work)


if __name__ == "__main__":
    main()
