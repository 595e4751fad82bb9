"""Tests of the stage template."""
