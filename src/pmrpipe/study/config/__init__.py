"""Configuration of a study: every key with its type, default and description.

The classes are the single source: the JSON schema (`data/schemas/config.schema.json`) and the
table in `config/README.md` are generated from them and checked by a test.
"""

from pmrpipe.study.config.cohort import Layout, Pairs, Split
from pmrpipe.study.config.names import subject_key
from pmrpipe.study.config.read import load, parse, schema
from pmrpipe.study.config.study import Study

__all__ = ["Layout", "Pairs", "Split", "Study", "load", "parse", "schema", "subject_key"]
