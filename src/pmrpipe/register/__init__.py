"""Running a method on pairs of preprocessed scans."""
