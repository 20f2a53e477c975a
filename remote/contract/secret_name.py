"""What a job's secret may be called."""

from __future__ import annotations

import re

# A variable's name, and none of the pod's own.
SECRET_NAME = re.compile(r"(?!RUNPOD_API_KEY|PODCTL_)[A-Za-z_][A-Za-z0-9_]{0,127}")
