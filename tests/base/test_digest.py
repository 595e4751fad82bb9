"""The digest follows code, not words."""

from __future__ import annotations

import ast

import pytest

from pmrpipe.base import digest as sources


def test_closure_follows_imports_inside_functions() -> None:
    assert "pmrpipe.images.transforms" in sources.closure("pmrpipe.stages.register.pairs")
    assert "pmrpipe.methods.pmr" not in sources.closure("pmrpipe.stages.train.fit")
    assert "pmrpipe.stages.preprocess.affine" not in sources.closure(
        "pmrpipe.stages.preprocess.whiten"
    )


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        (
            "def f():\n    return 1\n",
            'def f():\n    """Words."""\n    # more\n    return 1\n',
            True,
        ),
        ("def f():\n    return 1\n", "def f():\n    return 2\n", False),
        ('x = "a"\n', 'x = "b"\n', False),
    ],
)
def test_comments_and_docstrings_do_not_count(before: str, after: str, same: bool) -> None:
    one, two = (ast.dump(sources._without_docstrings(ast.parse(text))) for text in (before, after))
    assert (one == two) is same


def test_a_function_counts_without_its_neighbours() -> None:
    whole = sources.digest("pmrpipe.stages.preprocess.labels")
    run = sources.digest("pmrpipe.stages.preprocess.labels:run")
    pure = sources.digest("pmrpipe.stages.preprocess.labels:to_template")
    assert len({whole, run, pure}) == 3
    with pytest.raises(ValueError, match="no function absent"):
        sources.digest("pmrpipe.stages.preprocess.labels:absent")
