"""From a scan as it comes to a whitened brain on the template grid: pure functions per step.

Steps: brain -> resample -> affine -> whiten, and labels beside them; `steps` are the same on
files, `interfaces` and `workflow` the same for Nipype.
"""
