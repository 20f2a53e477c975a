"""Lines as frameworks print them, each with what it says."""

from __future__ import annotations

import pytest

from remote.steps import Report, figures, report

TRAINING = [
    # transformers 4 and 5, TRL, Unsloth
    (" 29%|██▉       | 118/400 [00:03<00:07, 40.10it/s]", Report(118, 400)),
    (
        "{'loss': '2.312', 'grad_norm': '1.2', 'learning_rate': '5e-05', 'epoch': '0.5'}",
        Report(None, None, 2.312),
    ),
    (
        "{'loss': 2.31, 'grad_norm': 1.2, 'learning_rate': 5e-05, 'epoch': 0.5}",
        Report(None, None, 2.31),
    ),
    ("{'eval_loss': 1.9, 'eval_runtime': 0.5, 'epoch': 1.0}", Report()),
    ("{'train_runtime': 3.2, 'train_loss': 0.4, 'epoch': 3.0}", Report(None, None, 0.4)),
    ("  Total optimization steps = 1,200", Report(None, 1200)),
    ("  Gradient Accumulation steps = 4", Report()),
    ("  Instantaneous batch size per device = 8", Report()),
    ("  Continuing training from global step 118", Report(118)),
    ("Num examples = 1,000 | Num Epochs = 1 | Total steps = 60", Report(None, 60)),
    # Axolotl
    (
        "{'loss': 1.2, 'ppl': 3.4, 'memory/max_active (GiB)': 5.2, 'epoch': 0.02}",
        Report(None, None, 1.2),
    ),
    # LLaMA-Factory
    (
        "[INFO|2026-06-01 12:00:00] llamafactory.train.callbacks:143 >> "
        "{'loss': 2.3, 'throughput': 1234.5}",
        Report(None, None, 2.3),
    ),
    (
        '{"current_steps": 5, "total_steps": 20, "loss": 1.5, "percentage": 25.0}',
        Report(5, 20, 1.5),
    ),
    # Lightning
    (
        "Epoch 3:  45%|████▌     | 45/100 [00:12<00:15,  3.61it/s, v_num=0, train_loss=0.31]",
        Report(45, 100, 0.31, 3, None, True),
    ),
    (
        "Epoch 3/9  ━━━━━━━━━━━━━ 45/100 0:00:12 • 0:00:15 3.61it/s v_num: 0.000 train_loss: 0.310",
        Report(45, 100, 0.31, 3, 9, True),
    ),
    # Keras 3 and 2
    (
        "\x1b[1m 12/240\x1b[0m \x1b[32m━\x1b[0m\x1b[37m━━━━━━━━━\x1b[0m \x1b[1m3s\x1b[0m "
        "12ms/step - loss: 0.3",
        Report(12, 240, 0.3),
    ),
    ("12/240 [>.............................] - ETA: 3s - loss: 0.3", Report(12, 240, 0.3)),
    (
        "240/240 ━━━━━━━━━━ 4s 12ms/step - accuracy: 0.9 - loss: 0.3 - val_loss: 0.28",
        Report(240, 240, 0.3),
    ),
    ("Epoch 1/5", Report(None, None, None, 1, 5)),
    # loops of one's own, nanoGPT, accelerate's examples
    ("step 120/4000 loss 2.31", Report(120, 4000, 2.31)),
    ("epoch 1 | step 20 | loss=0.5", Report(20, None, 0.5, 1)),
    ("Epoch [2/10], Step [100/500], Loss: 0.1234", Report(100, 500, 0.1234, 2, 10)),
    ("iter 100: loss 2.3126, time 123.45ms, mfu 1.20%", Report(100, None, 2.3126)),
    ("step 100: train loss 2.3, val loss 2.4", Report(100, None, 2.3)),
    ("2026-06-01 12:00:00 INFO train.py:12 step=7 loss=1e-3", Report(7, None, 0.001)),
    ("[rank0]: step 3, loss: tensor(2.31, device='cuda:0')", Report(3, None, 2.31)),
    ("epoch 0: {'accuracy': 0.7, 'f1': 0.8}", Report()),
    ("loss 2.30:   3%|▎         | 12/400 [00:03<01:02,  3.10it/s]", Report(12, 400, 2.3)),
    ("  3%|▎         | 12/400 [00:03<01:02,  3.10it/s, loss=2.3, lr=1e-5]", Report(12, 400, 2.3)),
    # Megatron, DeepSpeed, torchtune, PyTorch's examples, timm, MMEngine, fairseq
    (
        " iteration      100/   50000 | elapsed time per iteration (ms): 12.3 "
        "| lm loss: 2.3E+00 | loss scale: 1.0",
        Report(100, 50000, 2.3),
    ),
    ("steps: 10 loss: 2.3 iter time (s): 0.512 samples/sec: 15.6", Report(10, None, 2.3)),
    (
        "1|20|Loss: 2.312:   2%|▏         | 20/1000 [00:10<08:10,  2.00it/s]",
        Report(20, 1000, 2.312),
    ),
    ("Train Epoch: 1 [640/60000 (1%)]\tLoss: 2.31", Report(640, 60000, 2.31, 1)),
    (
        "Train: 0 [  50/1251 (  4%)]  Loss: 6.9 (6.95)  Time: 0.2s",
        Report(50, 1251, 6.9, 0, None, True),
    ),
    (
        "Epoch(train)  [1][  50/1000]  lr: 1.0e-02  eta: 0:10:00  loss: 0.3",
        Report(50, 1000, 0.3, 1),
    ),
    ("| epoch 001:     20 / 1000 loss=2.3, ppl=4.9", Report(20, 1000, 2.3, 1)),
    # JSON lines
    ('{"train/global_step": 12, "train/loss": 0.5}', Report(12, None, 0.5)),
    ('{"_step": 12, "loss": 0.5, "val_loss": 0.1}', Report(12, None, 0.5)),
    ('{"iteration": 12, "max_steps": 90}', Report(12, 90)),
    # several processes
    ("[rank1]:   3%|▎         | 12/400 [00:03<01:02,  3.10it/s]", Report(12, 400)),
    ("(TrainWorker pid=123) step 12 loss 0.5", Report(12, None, 0.5)),
]

ANSWERING = [
    "Processed prompts:  12%|█▏        | 12/100 [00:03<00:20,  4.00it/s, "
    "est. speed input: 120.00 toks/s]",
    "Running loglikelihood requests:  12%|█▏        | 12/100 [00:01<00:08, 10.00it/s]",
    "Running generate_until requests:  12%|█▏        | 12/100 [00:01<00:08, 10.00it/s]",
    "Evaluating:  12%|█▏        | 12/100 [00:01<00:08, 10.00it/s]",
]

NOTHING = [
    "Map: 40%|████      | 200/500 [00:00<00:00, 900 examples/s]",
    "Map (num_proc=4): 40%|████      | 200/500 [00:00<00:00, 900.12 examples/s]",
    "Tokenizing train dataset: 40%|████      | 200/500 [00:00<00:00, 900.12 examples/s]",
    "Generating train split: 100%|██████████| 500/500 [00:00<00:00, 900.12 examples/s]",
    "Loading checkpoint shards:  50%|█████     | 1/2 [00:01<00:01,  1.00s/it]",
    "Loading safetensors checkpoint shards:  50% Completed | 1/2 [00:01<00:01,  1.00s/it]",
    "Loading weights: 100%|██████████| 290/290 [00:00<00:00, 1000.00it/s]",
    "Downloading shards:  50%|█████     | 1/2 [00:01<00:01,  1.00s/it]",
    "Downloading data: 100%|██████████| 12/40 [00:01<00:00, 10.0MB/s]",
    "model.safetensors:  12%|█▏        | 12/100 [00:01<00:00, 10.0MB/s]",
    " 12%|█▏        | 12/100 [00:01<00:00, 10.0MB/s]",
    "Fetching 12 files:  50%|█████     | 6/12 [00:01<00:01,  4.00it/s]",
    "Capturing CUDA graph shapes:  50%|█████     | 17/35 [00:05<00:05,  3.00it/s]",
    "Sanity Checking DataLoader 0:  50%|█████     | 1/2 [00:00<00:00,  4.00it/s]",
    "Validation DataLoader 0:  50%|█████     | 5/10 [00:00<00:00,  4.00it/s]",
    "Adding requests: 100%|██████████| 100/100 [00:00<00:00, 5000.00it/s]",
    "Filter: 100%|██████████| 500/500 [00:00<00:00, 9000.00 examples/s]",
    "save_steps=500 logging_steps=10 max_grad_norm=1.0",
    "warmup steps: 100, eval steps: 50, save steps 500",
    "time per step: 12.5 ms",
    "step: 12 ms",
    "one step 0.35 s",
    "4 steps per epoch",
    "version 12/40",
    "loss scale: 1024",
    "val loss 2.4",
    "best loss: 0.1",
    "{'loss': 1e999, 'val_loss': 1.0}",
]


@pytest.mark.parametrize(("line", "expected"), TRAINING)
def test_a_training_is_read(line: str, expected: Report) -> None:
    """Step, last step, loss and epoch, as far as the line has them."""
    assert report(line) == expected


@pytest.mark.parametrize("line", ANSWERING)
def test_answered_requests_are_work_and_no_training(line: str) -> None:
    """They are steps of a job that does nothing else."""
    assert report(line) == Report(12, 100, work=True)


@pytest.mark.parametrize("line", NOTHING)
def test_what_counts_something_else_says_nothing(line: str) -> None:
    """Data, downloads, validation, settings and times."""
    assert report(line) == Report()


def test_a_figure_that_is_no_finite_number_is_none() -> None:
    """A reward that ran away."""
    assert figures("{'reward': 1e999, 'learning_rate': nan, 'accuracy': 0.5}") == {"accuracy": 0.5}


def test_figures_of_a_dictionary_are_read() -> None:
    """Learning rate, rewards and accuracies; not those of held-out data."""
    line = (
        "{'loss': 0.1, 'reward': 0.5, 'learning_rate': '2e-05', 'mean_token_accuracy': 0.9, "
        "'eval_accuracy': 1}"
    )

    assert figures(line) == {"reward": 0.5, "learning_rate": 2e-5, "mean_token_accuracy": 0.9}


@pytest.mark.parametrize(
    "line", ["|" * 5000, "step " * 1000, "loss " * 1000, "Epoch " * 800, " " * 5000]
)
def test_an_odd_line_costs_no_time(line: str) -> None:
    """Nor does any say anything."""
    assert report(line) == Report()
