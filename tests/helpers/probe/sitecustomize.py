"""Writes down which modules of pmrpipe each verb has loaded; Python imports this at its start."""

import atexit
import json
import os
import sys


def _write() -> None:
    if os.path.basename(os.path.dirname(sys.argv[0])) != "pmrpipe" or len(sys.argv) < 2:
        return
    names = sorted(name for name in sys.modules if name.split(".")[0] == "pmrpipe")
    path = os.path.join(os.environ["PMRPIPE_PROBE"], f"{os.getpid()}-{sys.argv[1]}.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"words": sys.argv[1:], "modules": names}, file)


if "PMRPIPE_PROBE" in os.environ:
    atexit.register(_write)
