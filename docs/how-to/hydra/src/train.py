"""One job of a sweep: what has its result is not done again."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig

STEPS = 10


@hydra.main(version_base=None, config_path="../conf", config_name="config")
def main(config: Any) -> None:
    out = Path(HydraConfig.get().runtime.output_dir)
    result = out / "result.json"
    if result.exists():
        print(f"{out.name} is there already", flush=True)
        return
    for step in range(1, STEPS + 1):
        time.sleep(0.1)
        print(f"step {step}/{STEPS}", flush=True)
    half = out / "result.tmp"
    half.write_text(json.dumps({"loss": 1 / config.lr, "step": STEPS}))
    os.replace(half, result)


if __name__ == "__main__":
    main()
