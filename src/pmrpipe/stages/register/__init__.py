"""Stage register: methods on pairs of preprocessed scans; transforms applied."""
