"""Paths of the plan's files, relative to the work folder.

The five stage programs take every path from here. A stage whose parameter `out` names another
folder writes the same file names there; the stages downstream read the paths below, which
`jobs/stage1.toml` declares as inputs and outputs.
"""

from __future__ import annotations

from pathlib import Path

# Stage 1A: the control.
ARTIFACTS = Path("artifacts")
BASELINE_ASSESSMENT = ARTIFACTS / "baseline_assessment.json"
BASELINE_RESPONSES = ARTIFACTS / "baseline_responses.jsonl"
BASELINE_EXPLANATIONS = ARTIFACTS / "baseline_explanations.jsonl"
BASELINE_PROGRESS = ARTIFACTS / ".baseline_progress.jsonl"

# Stage 1B: the training data.
DATA = Path("data/stage1")
TRAINING_DATA = DATA / "sft_training_data.jsonl"
DATA_QUALITY = DATA / "data_quality.json"
GENERATION_JOURNAL = DATA / "generation.jsonl"
GENERATION_PROGRESS = DATA / ".generation_progress.jsonl"

# Stages 1C and 1D: a folder for each adapter, with the same file names in both.
SFT_ADAPTER = Path("checkpoints/stage1_sft")
DPO_ADAPTER = Path("checkpoints/stage1_dpo")
ADAPTER_WEIGHTS = "adapter_model.safetensors"
ADAPTER_CONFIG = "adapter_config.json"
TRAINING_LOG = "training_log.jsonl"
DISJOINTNESS = "disjointness.json"
HYPERPARAMETERS = "hyperparameters.json"
PROVENANCE = "training_of.json"
DEVELOPMENT = "development.json"  # of stage 1C
SAMPLES = "samples.jsonl"  # of stage 1D
FAILURE_SEARCH = "failure_search.json"  # of stage 1D: how often the SFT model failed

# Stage 1D: the pairs and the comparison with the SFT model.
PREFERENCE_PAIRS = ARTIFACTS / "preference_pairs.jsonl"
DPO_COMPARISON = ARTIFACTS / "dpo_comparison.json"
DPO_RESPONSES = ARTIFACTS / "dpo_responses.jsonl"
DPO_PROGRESS = ARTIFACTS / ".dpo_progress.jsonl"

# Stage 1E: the final comparison.
STAGE1_REPORT = ARTIFACTS / "stage1_report.json"
STAGE1_RESPONSES = ARTIFACTS / "stage1_responses.jsonl"
EVALUATION_PROGRESS = ARTIFACTS / ".evaluation_progress.jsonl"

PLAN_SO_FAR = Path(".podctl/plan_so_far.json")  # podctl's summary of the ledger
