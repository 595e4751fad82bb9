"""Stage register: methods on pairs of preprocessed scans, on two native scans; transforms.

The package is callable: `pmrpipe.register(moving, fixed)` is `pmrpipe.twoscans.register`.
"""

import importlib
import sys
from types import ModuleType
from typing import Any


class _Stage(ModuleType):
    def __call__(self, *arguments: Any, **options: Any) -> Any:
        # By name: this floor imports nothing from above.
        return importlib.import_module("pmrpipe.twoscans").register(*arguments, **options)


sys.modules[__name__].__class__ = _Stage
