"""The Trainer's arguments."""

from stages.memory.batching import Batching
from stages.training import arguments
from stages.training.arguments import training_arguments


def test_one_process_trains_on_one_of_several_gpus(params, tmp_path, monkeypatch):
    """The library would spread each micro-batch over all of them: different batches, and a loss that is not a scalar."""

    class OnTwoGpus(arguments.TrainingArguments):
        @property
        def n_gpu(self):
            return getattr(self, "_n_gpu", 2)

        def __post_init__(self):
            super().__post_init__()
            self._n_gpu = 2

    monkeypatch.setattr(arguments, "TrainingArguments", OnTwoGpus)
    made = training_arguments(params, Batching(16, 2), 1e-3, str(tmp_path))
    assert made.n_gpu == 1
    assert (made.train_batch_size, made.eval_batch_size) == (16, params.train.eval_batch_size)
