"""Everything about the package stands in pyproject.toml; the compiled ops will join it here."""

from setuptools import setup

setup()
