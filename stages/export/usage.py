"""The Python code in a model card that loads a saved model; nothing of this project stands in it."""

_PLAIN = """\
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

folder = "{folder}"
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
"""

_PEFT = """\
import torch
from peft import PeftModel
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

folder, base = "{folder}", "{base}"
tokenizer = AutoTokenizer.from_pretrained(folder)
config = AutoConfig.from_pretrained(folder)  # names the classes
model = AutoModelForSequenceClassification.from_pretrained(base, config=config)  # reports a new head: the next line brings it
model = PeftModel.from_pretrained(model, folder).eval()
"""

_PREDICT = """
batch = tokenizer(["a text", "another one"], truncation=True, padding=True, return_tensors="pt")
with torch.inference_mode():
    probabilities = model(**batch).logits.softmax(dim=-1)
for row in probabilities.tolist():
    print({model.config.id2label[index]: round(p, 4) for index, p in enumerate(row)})
"""


def plain_code(folder: str) -> str:
    """Code for a folder that transformers loads by itself."""
    return _PLAIN.format(folder=folder) + _PREDICT


def peft_code(folder: str, base: str, before: str = "") -> str:
    """Code for a folder that PEFT puts on the base model in `base`; `before` are lines that must run first."""
    return before + _PEFT.format(folder=folder, base=base) + _PREDICT


def fenced(code: str) -> str:
    return f"```python\n{code}```"
