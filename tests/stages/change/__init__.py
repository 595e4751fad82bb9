"""Tests of the stage change."""
