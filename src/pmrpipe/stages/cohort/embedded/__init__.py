"""The embedded cohort: simulated T1-weighted heads with known truth, made from a seed alone."""

from pmrpipe.stages.cohort.embedded.anatomy import LABEL_TABLE, template_labels
from pmrpipe.stages.cohort.embedded.dataset import (
    SEED,
    simulate,
    simulate_contrast,
    simulate_subject,
    split_of,
    subject_name,
    write_dataset,
)

__all__ = [
    "LABEL_TABLE",
    "SEED",
    "simulate",
    "simulate_contrast",
    "simulate_subject",
    "split_of",
    "subject_name",
    "template_labels",
    "write_dataset",
]
