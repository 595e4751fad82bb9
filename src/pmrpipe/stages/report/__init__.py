"""The report of a study: one self-contained page, its figures and tables as files.

`page.build_report` is the entry. matplotlib and jinja2 are imported where they are used.
"""
