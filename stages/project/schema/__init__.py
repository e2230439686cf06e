"""What params.yaml may contain: every key, its type, its range, and which values contradict each other."""

from stages.project.schema.data import CsvParams, DataParams, HubDataParams, text_encoding
from stages.project.schema.fields import Count, Name, Number, Positive, Section
from stages.project.schema.params import BenchmarkParams, EvaluateParams, HubModelParams, ModelParams, Params
from stages.project.schema.training import DECOMPOSED, AwpParams, LearningRates, MixoutParams, PeftParams, TrainParams

METHODS = ("full", "lora", "adapter")

__all__ = [
    "DECOMPOSED",
    "METHODS",
    "AwpParams",
    "BenchmarkParams",
    "Count",
    "CsvParams",
    "DataParams",
    "EvaluateParams",
    "HubDataParams",
    "HubModelParams",
    "LearningRates",
    "MixoutParams",
    "ModelParams",
    "Name",
    "Number",
    "Params",
    "PeftParams",
    "Positive",
    "Section",
    "TrainParams",
    "text_encoding",
]
