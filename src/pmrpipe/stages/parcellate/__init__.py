"""Stage parcellate: labels of one scan from those of many atlases, and what they measure."""
