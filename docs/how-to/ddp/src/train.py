"""Data-parallel training whose ranks stop together: `train.py FOLDER`, below a launcher.

Any rank's SIGTERM is known to all after the next step, by an all_reduce of a flag; then rank 0
saves, the others wait for it, and all end. A checkpoint is written under another name and renamed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

STEPS, SAVE_STEPS = 200, 20
STEP_SECONDS = 0.05  # so that this small example lasts
STOPPED = 143

asked = False


def ask(*_: object) -> None:
    global asked
    asked = True


def any_asked(device: torch.device) -> bool:
    flag = torch.tensor([int(asked)], device=device)
    dist.all_reduce(flag, op=dist.ReduceOp.MAX)
    return bool(flag.item())


def main() -> None:
    signal.signal(signal.SIGTERM, ask)
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    cuda = torch.cuda.is_available()
    dist.init_process_group("nccl" if cuda else "gloo")
    rank = dist.get_rank()
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if cuda else torch.device("cpu")
    torch.manual_seed(0)
    net = DistributedDataParallel(torch.nn.Linear(32, 1).to(device))
    optimizer = torch.optim.SGD(net.parameters(), 0.01)
    latest, begun = out / "latest.pt", 0
    if latest.exists():
        state = torch.load(latest, weights_only=True, map_location=device)
        net.module.load_state_dict(state["net"])
        optimizer.load_state_dict(state["optimizer"])
        begun = state["step"]
    print(f"rank {rank} begins after {begun}", flush=True)

    def save(step: int) -> None:
        if rank == 0:
            state = {
                "net": net.module.state_dict(),
                "optimizer": optimizer.state_dict(),
                "step": step,
            }
            torch.save(state, out / "latest.tmp")
            os.replace(out / "latest.tmp", latest)
            print(f"saved at {step}", flush=True)
        dist.barrier()  # nobody goes on, or ends, before it is written

    loss = torch.zeros(())
    for step in range(begun + 1, STEPS + 1):
        rows = torch.randn(16, 32, device=device)
        loss = (net(rows) - rows.sum(1, keepdim=True)).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        time.sleep(STEP_SECONDS)
        if rank == 0:
            print(f"step {step}/{STEPS} {{'loss': {loss.item():.4f}}}", flush=True)
        if stopping := any_asked(device):
            print(f"rank {rank} stops after {step}", flush=True)
        if stopping or step % SAVE_STEPS == 0:
            save(step)
        if stopping:
            dist.destroy_process_group()
            sys.exit(STOPPED)
    if rank == 0:
        result = {"loss": loss.item(), "ranks": dist.get_world_size(), "step": STEPS}
        (out / "result.json").write_text(json.dumps(result))
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
