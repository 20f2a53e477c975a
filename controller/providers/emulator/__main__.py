"""`python -m controller.providers.emulator STATE_DIR [OPTIONS_JSON]`: serve in the foreground."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from controller.errors import PodctlError
from controller.providers.emulator.server import serve
from controller.providers.emulator.settings import EmulatorSettings, Quota


def main(arguments: list[str]) -> int:
    folder = Path(arguments[0])
    options = json.loads(arguments[1]) if len(arguments) > 1 else {}
    settings = dict(options.get("settings", {}))
    if "quota" in settings:
        settings["quota"] = Quota(**settings["quota"])
    try:
        serve(
            folder,
            port=options.get("port", 0),
            api_key=os.environ.pop("PODCTL_EMULATOR_KEY", None),
            settings=EmulatorSettings(**settings),
        )
    except PodctlError as error:
        sys.stderr.write(f"{error.what}\n{error.where}\n{error.cause}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
