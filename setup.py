"""Takes the workflow into the package: Snakefile, rules, environments, profiles, configurations.

They stand at the root of a clone, once; a wheel holds them as data, and `pmrpipe run` runs them.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

WORKFLOW = ("Snakefile", "rules", "envs", "profiles", "config", "workflow")


class BuildWithWorkflow(build_py):
    """`build_py`, and the workflow's files copied into pmrpipe/data/workflow."""

    def run(self):
        super().run()
        if not self.editable_mode:
            for source, target in self._workflow_files():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)

    def get_outputs(self, include_bytecode=True):
        more = [] if self.editable_mode else self._workflow_files()
        return [*super().get_outputs(include_bytecode), *(str(target) for _, target in more)]

    def _workflow_files(self):
        target = Path(self.build_lib) / "pmrpipe" / "data" / "workflow"
        for name in WORKFLOW:
            root = Path(name)
            files = [root] if root.is_file() else sorted(root.rglob("*"))
            yield from ((path, target / path) for path in files if path.is_file())


setup(cmdclass={"build_py": BuildWithWorkflow})
