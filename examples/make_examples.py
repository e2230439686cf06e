"""python examples/make_examples.py [folder]

Writes reviews.csv and tiny-bert/ beside this file, or into `folder`: 240 made-up product reviews and a BERT encoder with
random weights, too small to mean anything, large enough to run every stage without the network:

    dvc exp run -S data.source=csv -S model.source=local

The same call writes the same bytes.
"""

import csv
import random
import sys
from pathlib import Path

import numpy as np
import torch
from tokenizers.pre_tokenizers import BertPreTokenizer
from transformers import BertConfig, BertModel, BertTokenizerFast
from transformers.utils.logging import disable_progress_bar

SEED = 13
PER_CLASS = 120
MAX_TOKENS = 128
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]

THINGS = ["kettle", "lamp", "backpack", "radio", "blender", "chair", "keyboard", "tent", "lantern", "umbrella", "clock"]
TIMES = ["after a week", "after one month", "since spring", "every morning", "on our trip", "in the rain", "at the office"]
WORDS = {
    "positive": {
        "quality": ["sturdy", "lovely", "reliable", "comfortable", "excellent", "quiet", "brilliant", "well made"],
        "verdict": ["I would buy it again", "worth every penny", "my family loves it", "it makes me smile"],
        "deed": ["works perfectly", "looks like new", "has never let me down", "does more than I hoped"],
    },
    "negative": {
        "quality": ["flimsy", "ugly", "unreliable", "painful", "dreadful", "noisy", "useless", "badly made"],
        "verdict": ["I sent it back", "a waste of money", "my family hates it", "it makes me angry"],
        "deed": ["stopped working", "fell apart", "has let me down twice", "does less than promised"],
    },
}
TEMPLATES = [
    "This {thing} is {quality}, {verdict}.",
    "The {thing} {deed} {time}.",
    "{time}, the {thing} {deed}; {verdict}!",
    "What a {quality} {thing}.",
    "A {quality} {thing} that {deed} {time}.",
    "I use the {thing} {time} and it {deed}.",
]


def make_reviews() -> list[tuple[str, str]]:
    """Return (text, label) pairs: no text twice, both labels equally often, mixed."""
    generator = random.Random(SEED)
    reviews = []
    for label, words in WORDS.items():
        texts = {}
        while len(texts) < PER_CLASS:
            choice = {name: generator.choice(values) for name, values in words.items()}
            text = generator.choice(TEMPLATES).format(thing=generator.choice(THINGS), time=generator.choice(TIMES), **choice)
            texts[text[0].upper() + text[1:]] = label
        reviews += texts.items()
    generator.shuffle(reviews)
    return reviews


def make_tokenizer(texts: list[str]) -> BertTokenizerFast:
    """Return an uncased WordPiece tokenizer that knows the words of `texts`, and every other word letter by letter.

    The vocabulary is not left to a trainer of the `tokenizers` library, whose WordPiece ids differ from run to run.
    """
    words = {word for text in texts for word, _ in BertPreTokenizer().pre_tokenize_str(text.lower())}
    letters = sorted(set("".join(words)) | set("abcdefghijklmnopqrstuvwxyz0123456789"))
    pieces = [*SPECIAL, *letters, *(f"##{letter}" for letter in letters), *sorted(words - set(letters))]
    return BertTokenizerFast({piece: index for index, piece in enumerate(pieces)}, model_max_length=MAX_TOKENS)


def make_encoder(vocab_size: int) -> BertModel:
    """Return a BERT encoder of 2 layers and width 32 with weights drawn from N(0, 0.02^2), LayerNorms and biases as usual.

    The weights come from NumPy, whose stream does not depend on the processor.
    """
    config = BertConfig(
        vocab_size=vocab_size,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=MAX_TOKENS,
    )
    model = BertModel(config)
    generator = np.random.default_rng(SEED)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                draw = generator.normal(0.0, config.initializer_range, size=tuple(weight.shape))
                weight.copy_(torch.from_numpy(draw.astype(np.float32)))
    return model


def main(folder: Path) -> None:
    """Write both examples into `folder`."""
    disable_progress_bar()
    reviews = make_reviews()
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "reviews.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["text", "label"])
        writer.writerows(reviews)
    tokenizer = make_tokenizer([text for text, _ in reviews])
    tokenizer.save_pretrained(folder / "tiny-bert")
    make_encoder(len(tokenizer)).save_pretrained(folder / "tiny-bert")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
