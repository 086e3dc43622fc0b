"""Quick tests: no network, no clock, no disk to write on."""

import os

from hypothesis import settings
from hypothesis.configuration import set_hypothesis_home_dir

# The same examples in every run, and nothing kept of them: a directory that can't be made is where it may write.
set_hypothesis_home_dir(os.path.join(os.devnull, "hypothesis"))
settings.register_profile("pitwall", max_examples=100, database=None, deadline=None, derandomize=True)
settings.load_profile("pitwall")
