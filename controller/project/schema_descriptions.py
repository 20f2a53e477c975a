"""What each key of podctl.toml means, in a sentence: the descriptions of `podctl schema`."""

from __future__ import annotations

DESCRIPTIONS = {
    "project": "Which cloud, and what is trained.",
    "budget": "Limits in US dollars. A run whose worst case does not fit is refused.",
    "pod": "How pods are rented, and what becomes of them.",
    "upload": "What is sent to the pod beside the inputs of a stage.",
    "notify": "Which events the user is notified of, and where.",
    "stages": "One table a stage: changes to a stage that comes with podctl, or one of your own.",
    "project.name": "Name of the project, shown in STATUS.md.",
    "project.plan": '"stage1" includes the five stages that come with podctl, "none" only the '
    "stages that this file defines.",
    "project.provider": '"runpod" rents pods and costs money; "emulator" runs them on this '
    "machine.",
    "project.model": "Model of the stages that come with podctl: a hub id, or a folder of the "
    "project.",
    "project.api_base_url": "Address of the provider's API, if not its own.",
    "budget.project_usd": "Limit of the whole project's cost.",
    "budget.run_usd": "Limit of one run's cost: then it saves, its files are downloaded, it stops.",
    "pod.image": "Container image of the pods.",
    "pod.on_success": "After a passed run: terminate the pod, park it (its disk bills), keep it.",
    "pod.on_failure": "The same after a run that did not pass.",
    "pod.keep_warm_minutes": "How long the pod of a failed run, whose outputs are all here, waits "
    "for the next run; 0: it does not wait.",
    "pod.on_vanished": "When a pod with a job is gone: ask, or retry on another one.",
    "pod.cloud": "SECURE or COMMUNITY; without it, as the stage says.",
    "pod.data_centers": "Ids of data centers where pods may be; empty: any.",
    "pod.network_volume_id": "A network volume, which outlives pods.",
    "pod.send": "Send large inputs through the pod, or to the network volume before renting.",
    "pod.disk_gb": "Container disk in GB, wiped at every stop; without it, as the stage says.",
    "pod.volume_gb": "Volume in GB, kept while parked; without it, as the stage says.",
    "pod.boot_minutes": "A pod whose SSH does not answer by then is replaced.",
    "pod.settle_seconds": "How long an unclear create is looked for before it is repeated.",
    "upload.include": "Your own code: folders, files or globs; a leading ! leaves out.",
    "upload.not_secret": "Files that look like keys and are none.",  # pragma: allowlist secret
    "upload.allow_secrets": "Send files that look like keys.",  # pragma: allowlist secret
    "notify.on": "The events: passed, failed, question, stuck, budget.",
    "notify.to": "Names of variables with an address each.",
    "stage.title": "What the stage does, in a few words.",
    "stage.command": "The command, in the work folder: a list of words, or one text for a shell. "
    "{name} is the value of parameters.name.",
    "stage.env": "Environment variables of the job; no secrets.",
    "stage.needs": "Stages that must be locked before.",
    "stage.inputs": "Paths or globs that are sent; also what git ignores.",
    "stage.outputs": "Globs of what is downloaded, verified and locked; a leading ! leaves out.",
    "stage.criteria": "What must hold of the outputs before the stage is locked.",
    "stage.launch": "Start the Python program as one process a GPU, by torchrun or accelerate.",
    "stage.image": "Container image of the stage's pod, before that of [pod].",
    "stage.ports": 'Ports that the provider exposes to everybody: "8888/http", "7860/tcp".',
    "stage.hardware": "The GPUs, memory and price that the stage accepts.",
    "stage.environment": "What is installed on the pod before the command starts.",
    "stage.hours": "Expected hours; the estimate is made of it.",
    "stage.max_hours": "The job's budget: at this it is stopped.",
    "stage.stall_minutes": "A job that shows no progress for so long counts as stalled.",
    "stage.grace_seconds": "From SIGTERM to SIGKILL: the time to save.",
    "stage.stray_processes": "What the command leaves running: wait for it, or kill it.",
    "stage.parameters": "Read by the job from $PODCTL_PARAMETERS, and put into the command where "
    "it names them in braces.",
    "stage.checkpoints": "Globs of what an interrupted job resumes from; for podctl rehearse.",
    "stage.unchecked": "Globs of outputs whose content is not looked into.",
    "stage.secrets": "Variables or files that the job may know.",  # pragma: allowlist secret
    "stage.gpu_count": "GPUs of one pod: short for hardware.gpu_count.",
    "stage.requirements": "requirements.txt, pyproject.toml or uv.lock, installed by uv on top of "
    'the image\'s packages: short for environment = { kind = "lock", lock = … }.',
    "hardware.gpus": "GPU types by id or short name; empty: any with enough memory.",
    "hardware.gpu_count": "GPUs of one pod.",
    "hardware.min_gpu_memory_gb": "Memory of one GPU in GB, whatever is estimated.",
    "hardware.unknown_model_gb": "The same where the model's size is not known.",
    "hardware.cpu": 'A CPU pod without a GPU, of this flavour: "cpu5c".',
    "hardware.vcpu_count": "Virtual CPUs of a CPU pod.",
    "hardware.cloud": "SECURE or COMMUNITY.",
    "hardware.data_centers": "Ids of data centers where the pod may be; empty: any.",
    "hardware.min_cuda": 'CUDA version that the host must support; "any": no matter.',
    "hardware.max_usd_per_hour": "No pod that costs more per hour is rented.",
    "hardware.max_price_ratio": "No offer that costs more than so many times the cheapest accepted "
    "one is rented.",
    "hardware.disk_gb": "Container disk in GB.",
    "hardware.volume_gb": "Volume in GB.",
    "environment.kind": "none: the image as it is; training: the stack of the shipped stages; "
    "lock: the file that lock names.",
    "environment.lock": "requirements.txt, pyproject.toml or uv.lock.",
    "environment.imports": "Modules that must import on the pod before the job starts.",
    "environment.install": "A folder with a project that is installed besides.",
    "environment.settings": "Whether this machine's package indexes, proxies and certificates are "
    "used on the pod.",
    "criterion.kind": "What is judged: see docs/stages.md.",
    "criterion.path": "File or glob that is judged.",
    "criterion.match": "Of a glob: the newest file, or all.",
    "criterion.accept": "Why the stage is locked although this is INCONCLUSIVE.",
    "criterion.title": "What holds when it passes, in words.",
    "criterion.key": "Dotted path of the value in a JSON or JSON Lines file.",
    "criterion.at_least": "Lower bound.",
    "criterion.at_most": "Upper bound.",
    "criterion.equals": "The exact value.",
    "criterion.parts": "Whose instructions are answered: development, held_out.",
    "criterion.claims": 'System to "file.json:key" of the success that is claimed for it.',
}
