"""The Python code in a model card that loads the exported model; it needs nothing of this project."""

_PLAIN = """\
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

folder = "{folder}"
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
"""

_ADAPTER = """\
import sys

sys.path.insert(0, "adapter")
import {module}  # makes PEFT know the adapter
import torch
from peft import PeftModel
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

folder, base = "adapter", "adapter/base"
tokenizer = AutoTokenizer.from_pretrained(folder)
config = AutoConfig.from_pretrained(folder)  # names the classes
model = AutoModelForSequenceClassification.from_pretrained(base, config=config)  # reports a new head: the next line loads it
model = PeftModel.from_pretrained(model, folder).eval()
"""

_PREDICT = """
batch = tokenizer(["a text", "another one"], truncation=True, padding=True, return_tensors="pt")
with torch.inference_mode():
    probabilities = model(**batch).logits.softmax(dim=-1)
for row in probabilities.tolist():
    print({model.config.id2label[index]: round(p, 4) for index, p in enumerate(row)})
"""


def loading_code(method: str, module: str) -> str:
    """Code that loads exported/{method} and classifies two texts.

    Args:
        module: the name of the file in the folder that holds the adapter's class.
    """
    return (_ADAPTER.format(module=module) if method == "adapter" else _PLAIN.format(folder=method)) + _PREDICT
