"""transformers' Trainer: goes on by itself, and saves a checkpoint when it is told to stop."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any

import torch
from datasets import load_dataset
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    DataCollatorForLanguageModeling,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)
from transformers.trainer_utils import get_last_checkpoint

OUT = Path("runs/train")
STOPPED = 143  # what a program that ended at SIGTERM returns


class SaveAtStop(TrainerCallback):
    """SIGTERM asks for a checkpoint after the present step, and then for the end."""

    def __init__(self) -> None:
        self.asked = False
        signal.signal(signal.SIGTERM, self._ask)

    def _ask(self, *_: Any) -> None:
        self.asked = True

    def on_step_end(self, _: Any, state: Any, control: Any, **more: Any) -> Any:
        print(f"step {state.global_step}/{state.max_steps}", flush=True)
        if self.asked:
            control.should_save = control.should_training_stop = True
        return control


def main() -> None:
    tokenizer = AutoTokenizer.from_pretrained("model")
    rows = load_dataset("json", data_files="data/chat.jsonl", split="train")

    def encode(row: dict[str, Any]) -> Any:
        text = tokenizer.apply_chat_template(row["messages"], tokenize=False)
        return tokenizer(text, truncation=True, max_length=96)

    parts = rows.map(encode, remove_columns=rows.column_names).train_test_split(0.1, seed=0)
    stop = SaveAtStop()
    trainer = Trainer(
        AutoModelForCausalLM.from_pretrained("model"),
        TrainingArguments(
            str(OUT),
            max_steps=120,
            per_device_train_batch_size=4,
            learning_rate=1e-3,
            logging_steps=5,
            eval_strategy="steps",
            eval_steps=20,
            save_steps=20,
            save_total_limit=2,
            report_to="none",
            disable_tqdm=True,
            use_cpu=not torch.cuda.is_available(),
        ),
        train_dataset=parts["train"],
        eval_dataset=parts["test"],
        processing_class=tokenizer,
        data_collator=DataCollatorForLanguageModeling(tokenizer, mlm=False),
        callbacks=[stop],
    )
    last = get_last_checkpoint(str(OUT)) if OUT.is_dir() else None
    print(f"goes on from {last}" if last else "begins at step 0", flush=True)
    trainer.train(resume_from_checkpoint=last)
    if stop.asked:
        sys.exit(STOPPED)
    trainer.save_model(str(OUT / "final"))
    trainer.save_state()
    trainer.save_metrics("eval", trainer.evaluate())


if __name__ == "__main__":
    main()
